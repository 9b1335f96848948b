#pragma once

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/digest.h"

namespace intaglio::crypto {

[[nodiscard]] Sha256Digest hmac_sha256(ByteView key, ByteView data);
/// RFC 5869 with SHA-256, extract and expand; `info` separates purposes.
[[nodiscard]] Secret hkdf_sha256(ByteView key, ByteView salt, ByteView info, std::size_t length);

/// AES-256-GCM: 12 byte random nonce | ciphertext | 16 byte tag. `key` has 32 bytes.
[[nodiscard]] Result<Bytes> gcm_seal(ByteView key, ByteView plaintext, ByteView associated);
/// Refused (`invalid_request`) when anything differs; nothing of the plaintext is returned then.
[[nodiscard]] Result<Secret> gcm_open(ByteView key, ByteView sealed, ByteView associated);

/// AES-256 in counter mode (NIST SP 800-38A, 6.5): its own inverse, without any integrity. For wrapped custody, where a tag
/// would tell whoever guesses a secret that the guess is right. `key` has 32 bytes and `counter` 16; a pair serves once.
[[nodiscard]] Result<Secret> aes256_ctr(ByteView key, ByteView counter, ByteView content);

}  // namespace intaglio::crypto
