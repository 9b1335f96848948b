#pragma once

#include "sam/sap/message.h"

namespace intaglio::sam {

/// What passkeys and devices signed and identity providers confirmed, by SAM nonce in base64url; each an encoded evidence::Approval,
/// evidence::DeviceApproval or evidence::IdentityApproval.
[[nodiscard]] sealed::Table kept_approvals(const std::shared_ptr<const sealed::Sealer>& sealer);

/// Within the transaction that writes the authorisation: what a passkey or a device signed, or else an identity provider confirmed, is kept by SAM
/// nonce, sealed and for good, so that anyone can be shown later what was approved. SHA-256 of it for the audit log, or nothing when none of
/// them was shown.
[[nodiscard]] Result<std::optional<crypto::Sha256Digest>> keep_approval(const Core& core, storage::Transaction& transaction,
                                                                        const SapMessage& message, const FactorsProven& proven);

/// The same of the identification that a session with a one-time key begins with.
[[nodiscard]] Result<crypto::Sha256Digest> keep_identification(const Core& core, storage::Transaction& transaction,
                                                               const SapMessage& message, const IdentityProof& identity);

}  // namespace intaglio::sam
