#pragma once

#include "sam/sap/message.h"

namespace intaglio::sam {

/// Within the transaction that writes the authorisation: what a passkey signed is kept by SAM nonce, sealed and for good, so that anyone can
/// be shown later what was approved. SHA-256 of it for the audit log, or nothing when no passkey was shown.
[[nodiscard]] Result<std::optional<crypto::Sha256Digest>> keep_approval(const Core& core, storage::Transaction& transaction,
                                                                        const SapMessage& message, const FactorsProven& proven);

}  // namespace intaglio::sam
