#pragma once

#include <optional>
#include <string_view>

namespace intaglio::registration {

/// Where a signer or one of his keys stands between the first visit and the end (api/ra/README.md).
enum class EnrolmentState {
  none,                  ///< not in the register
  code_sent,             ///< signer: the activation code is with the operator, or with the person
  device_registered,     ///< signer: the factors are enrolled
  key_made,              ///< key: waits for its certificate
  key_certified,         ///< key: has its certificate, and signs
  suspended,             ///< key: signs nothing until an operator lifts it
  revocation_requested,  ///< signer or key: the person asked for the end; nothing goes on but a revocation, or an enrolment anew
  revoked,               ///< key: its certificate is revoked, for good
  expired,               ///< key: its certificate came to its end
  ended,                 ///< key: destroyed; its certificate is still to be revoked
};
inline constexpr int enrolment_states = 10;

[[nodiscard]] std::string_view name_of(EnrolmentState state) noexcept;
[[nodiscard]] std::optional<EnrolmentState> parse_enrolment_state(std::string_view name) noexcept;
/// What brings it on, in an operator's words.
[[nodiscard]] std::string_view next_step_of(EnrolmentState state) noexcept;
/// The table of transitions.
[[nodiscard]] bool may_follow(EnrolmentState from, EnrolmentState to) noexcept;

}  // namespace intaglio::registration
