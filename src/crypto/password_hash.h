#pragma once

#include "base/bytes.h"
#include "base/secret.h"

namespace intaglio::crypto {

/// RFC 9106. Defaults: OWASP's floor; the pepper stands in the HSM (trust-core, section 2). Policy may raise them.
struct Argon2Cost {
  std::uint32_t memory_kib = 19 * 1024;
  std::uint32_t passes = 2;
};

/// Argon2id with one lane, 32 bytes out. At most `set_argon2_parallelism` evaluations run at once (default 2); the rest
/// wait. Memory comes from an arena that is kept, locked and wiped after each use: mapping it anew doubles the cost.
[[nodiscard]] Result<Secret> argon2id(const Secret& password, ByteView salt, Argon2Cost cost);
void set_argon2_parallelism(unsigned evaluations);
/// How many evaluations this process has made (TC-11 compares counts).
[[nodiscard]] std::uint64_t argon2_evaluations() noexcept;

/// RFC 6238 with SHA-1, 30 s, 6 digits, as authenticator applications have it. `seed`: 20 bytes.
[[nodiscard]] Secret totp_code(const Secret& seed, std::uint64_t step);

}  // namespace intaglio::crypto
