#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "crypto/signer.h"

namespace intaglio::crypto {

/// Compact JWE, exactly alg ECDH-ES+A256KW and enc A256GCM (RFC 7516, 7518), <= 64 KiB. No zip, no crit, typ required.
struct JweHeader {
  std::string typ;  ///< one per purpose, for example intaglio-sap-sign+jwe
  std::string kid;
  Bytes apu;        ///< PartyUInfo: the SAM nonce
  Bytes apv;        ///< PartyVInfo: the kid
};

[[nodiscard]] Result<std::string> make_jwe(const PublicKey& recipient, const JweHeader& header, ByteView plaintext);
/// Parses and bounds the header without any key operation; what it says is authenticated only by open_jwe.
[[nodiscard]] Result<JweHeader> peek_jwe_header(std::string_view compact);
/// Checks alg, enc, typ == `typ`, members, the epk on the curve before `recipient` sees it, unwraps and decrypts. Every
/// refusal is `invalid_request` unless the key agreement itself failed, whose error is passed on.
[[nodiscard]] Result<Secret> open_jwe(const KeyAgreement& recipient, std::string_view typ, std::string_view compact);

}  // namespace intaglio::crypto
