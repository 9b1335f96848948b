#pragma once

#include "sam/sap/message.h"

/// What every SAP message with the signer's factors has in common.
namespace intaglio::sam {

void record_refusal(Core& core, const SapMessage& message, const Error& error);
/// The profile that T names; the first of the policy when it is not in force any more.
[[nodiscard]] const Profile& profile_of(const Core& core, const protocol::Transaction& transaction);
/// Asks for a combination of the profile that T names; a change of factors for one of each profile that the signer's factors reach.
[[nodiscard]] Result<FactorsProven> prove_factors(Core& core, const SapMessage& message);
/// Certificate, state and profile of the key as they are now, against what T says (TC-3).
Status check_approved_key(const Core& core, const SapMessage& message, const SignerRecord& signer,
                          const std::optional<custody::StoredKey>& key);
/// Right factors must not count as a failure because something else refused.
void give_attempt_back(Core& core, const FactorsProven& proven, const Profile& profile);

}  // namespace intaglio::sam
