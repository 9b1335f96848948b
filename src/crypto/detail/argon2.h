#pragma once

#include "base/bytes.h"

namespace intaglio::crypto::detail {

/// All inputs of Argon2id, version 0x13 (RFC 9106, 3.1); `run_argon2id` exists so that the vectors of RFC 9106 can be run,
/// which use lanes, a secret and associated data.
struct Argon2Input {
  ByteView password, salt, secret, associated;
  std::uint32_t memory_kib, passes, lanes;
};

/// Waits for a place in the arena, runs, and gives the place back wiped.
Status run_argon2id(const Argon2Input& input, std::span<std::uint8_t> tag);

/// Whether every idle place of the arena holds zeros only; for tests.
[[nodiscard]] bool argon2_arena_is_wiped();

}  // namespace intaglio::crypto::detail
