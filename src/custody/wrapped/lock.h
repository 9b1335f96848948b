#pragma once

#include "base/secret.h"
#include "custody/wrapped/sealed_key.h"

namespace intaglio::custody {

inline constexpr std::size_t min_lock = 32;
inline constexpr std::size_t lock_salt = 32;

/// `content` under the lock: 32 byte salt | AES-256-CTR, key and first counter block from HKDF-SHA-256 over the lock, the salt
/// and the key's name. There is no tag, and `content` must have no structure that shows outside the token: whoever has
/// the result and guesses a lock learns nothing from trying it (hsm.md, section 3). Refused: a lock of less than 32 bytes.
[[nodiscard]] Result<Bytes> close_lock(const Secret& lock, const KeyBinding& binding, const Secret& content);
/// Gives as many bytes for any lock: right ones or others. Refused: `storage_unavailable` when shorter than its salt.
[[nodiscard]] Result<Secret> open_lock(const Secret& lock, const KeyBinding& binding, ByteView locked);

}  // namespace intaglio::custody
