#pragma once

#include <string>
#include <string_view>

#include "crypto/public_key.h"

namespace intaglio::crypto {

/// What a JWS that brings its own key says. It proves that somebody has the key, and nothing of who that is: the caller compares the key
/// with one that it knows.
struct SelfSigned {
  std::string payload;
  PublicKey key;
};

/// A compact JWS, ES256 only, whose header has exactly alg, typ and jwk, a public P-256 key (RFC 9449, 4.2). Refused
/// (`invalid_request`): another typ or algorithm, another member, a private key, a point off the curve, a signature that does not verify.
[[nodiscard]] Result<SelfSigned> verify_self_signed(std::string_view compact, std::string_view typ);

}  // namespace intaglio::crypto
