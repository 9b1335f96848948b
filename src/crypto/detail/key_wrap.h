#pragma once

#include "base/bytes.h"
#include "base/secret.h"

namespace intaglio::crypto::detail {

/// Concat KDF (RFC 7518, 4.6.2; SP 800-56A, 5.8.1) with SHA-256. `bytes`: length of the key, which SuppPubInfo states in bits.
[[nodiscard]] Result<Secret> concat_kdf(const Secret& shared, std::string_view algorithm, ByteView apu, ByteView apv, std::size_t bytes);

/// AES key wrap (RFC 3394) with a key of 32 bytes; adds 8 bytes.
[[nodiscard]] Result<Bytes> wrap_key(const Secret& wrapping_key, const Secret& key);
[[nodiscard]] Result<Secret> unwrap_key(const Secret& wrapping_key, ByteView wrapped);

}  // namespace intaglio::crypto::detail
