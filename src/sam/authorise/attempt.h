#pragma once

#include "sam/sap/message.h"

/// What every SAP message with PIN and one-time password has in common.
namespace intaglio::sam {

void record_refusal(Core& core, const SapMessage& message, const Error& error);
[[nodiscard]] Result<FactorsProven> prove_factors(Core& core, const SapMessage& message);
/// A right PIN and OTP must not count as a failure because something else refused.
void give_attempt_back(Core& core, const FactorsProven& proven, const Profile& profile);

}  // namespace intaglio::sam
