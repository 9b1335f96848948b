#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "crypto/public_key.h"
#include "crypto/signer.h"

namespace intaglio::crypto {

/// A compact JWS, ES256 only (RFC 7515, 7518), with an explicit `typ` per kind of token (RFC 8725, 3.11).
/// `payload` is JSON text made by the caller.
[[nodiscard]] Result<std::string> make_jws(const Signer& signer, std::string_view typ, std::string_view kid, std::string_view payload);

struct JwsHeader {
  std::string alg;
  std::string typ;  ///< empty: the header has none, as an assertion of RFC 7523 may
  std::string kid;
};
/// The header, unverified: only to choose the key by kid among keys that are pinned already. Bounded to 64 KiB.
[[nodiscard]] Result<JwsHeader> peek_jws_header(std::string_view compact);
/// The payload, once alg is ES256, typ is exactly `typ` (empty: there is none), no `crit`, no `jwk`/`jku`/`x5u`/`b64` member, and the signature verifies.
[[nodiscard]] Result<std::string> verify_jws(std::string_view compact, std::string_view typ, const PublicKey& key);

/// Public P-256 JWK (RFC 7517): {"crv":"P-256","kty":"EC","x":…,"y":…}; members in this order, as RFC 7638 hashes it.
[[nodiscard]] Result<std::string> encode_jwk(const PublicKey& key);
[[nodiscard]] Result<PublicKey> parse_jwk(std::string_view json);
/// RFC 7638, base64url SHA-256.
[[nodiscard]] Result<std::string> jwk_thumbprint(const PublicKey& key);

}  // namespace intaglio::crypto
