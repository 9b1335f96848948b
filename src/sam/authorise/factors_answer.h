#pragma once

#include "sam/sap/message.h"

namespace intaglio::sam {

inline constexpr std::size_t totp_seed_bytes = 20;  // RFC 4226, section 4 R6

/// What the signer is told of new factors, sealed to the key of his message; `seed` null when it stays.
[[nodiscard]] Result<std::string> seal_factors_answer(const Core& core, const SapMessage& message, const Secret* seed);

}  // namespace intaglio::sam
