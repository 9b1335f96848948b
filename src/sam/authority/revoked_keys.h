#pragma once

#include "sam/core.h"

/// What becomes of a key whose certificate is revoked: destroyed, or kept of no use until a date (architecture, deviation 2).
namespace intaglio::sam {

/// Within the transaction that takes the revocation list: the record says revoked, and the key ends as the policy says. A certificate
/// on hold may come back, so that its key stays; it signs nothing meanwhile, and ends when the hold becomes a revocation. False when
/// there was nothing to do.
[[nodiscard]] Result<bool> end_revoked_key(Core& core, storage::Transaction& transaction, custody::StoredKey key,
                                           crypto::RevocationReason reason);

/// Destroys the inactive keys whose time is over. At start and every half minute.
Status end_inactive_keys(Core& core);

}  // namespace intaglio::sam
