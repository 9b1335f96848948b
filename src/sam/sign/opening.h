#pragma once

#include "sam/sign/lock_shares.h"

namespace intaglio::sam {

/// What opens a key in wrapped custody for the signatures of one reservation: the key as its row had it, and the SAM's share of the
/// lock. Worthless without the SAD.
struct Opening {
  custody::KeyBinding binding;
  custody::SealedKey sealed;
  Secret share;
  std::size_t signatures;
};
/// Within the transaction that reserves them, after the key was checked. `credential_disabled` for a key that has no row.
[[nodiscard]] Result<Opening> reserve_opening(const Core& core, storage::Transaction& transaction, const std::string& authorisation,
                                              const custody::KeyRecord& key, std::size_t signatures);
/// The key in the token, until what is returned ends. `sad_invalid` when the lock is not the key's. Nothing was signed when refused.
[[nodiscard]] Result<std::unique_ptr<custody::ActivationSigner>> open_key(const Core& core, const Opening& opening, std::string_view sad,
                                                                          const crypto::PublicKey& certified);

}  // namespace intaglio::sam
