#pragma once

#include <string>

#include "base/bytes.h"
#include "base/secret.h"

namespace intaglio::crypto {

/// From OpenSSL's private DRBG; refused (`internal`) when it fails: never weaker bytes (TC-10).
[[nodiscard]] Result<Bytes> random_bytes(std::size_t length);
[[nodiscard]] Result<Secret> random_secret(std::size_t length);
/// 128 random bits as base64url, 22 characters: an identifier that nobody guesses.
[[nodiscard]] Result<std::string> random_id();
/// Mixes in entropy of the token at start (FCS_RNG.1).
void add_entropy(ByteView bytes);

}  // namespace intaglio::crypto
