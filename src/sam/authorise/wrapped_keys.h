#pragma once

#include "sam/core.h"
#include "sam/sign/lock_shares.h"

/// Where the signer's secret is present: keys of both custody modes are made, and those in wrapped custody get and change their locks.
namespace intaglio::sam {

/// A new key and what its mode of custody keeps of it.
struct MadeKey {
  crypto::PublicKey public_key;
  Bytes csr;                                    ///< PKCS#10, signed with the key
  std::optional<custody::SealedKeyRow> sealed;  ///< in wrapped custody: the key itself
};
/// `subject`: a Name, DER.
[[nodiscard]] Result<MadeKey> make_key(Core& core, const Profile& profile, const FactorsProven& proven, const KeyId& key,
                                       crypto::KeyAlgorithm algorithm, ByteView subject);

/// The lock of this key from the PIN that was shown, in two shares.
[[nodiscard]] Result<LockShares> split_lock_for(Core& core, const FactorsProven& proven, const std::string& key);

/// The binding that a key's record and its row give.
[[nodiscard]] custody::KeyBinding binding_of(const custody::KeyRecord& record, std::uint64_t policy_version);

/// A key of the signer's under the lock of a new PIN.
struct ResealedKey {
  KeyId key;
  std::uint64_t version;  ///< of the row that it replaces
  custody::SealedKeyRow row;
};
/// All keys of the signer's in wrapped custody that are not destroyed; the token does the work, before the write.
[[nodiscard]] Result<std::vector<ResealedKey>> reseal_keys(Core& core, const FactorsProven& proven, const NewPin& pin);
/// Within the transaction that changes the PIN. `conflict` when there is another key, or another row of one, than was resealed.
Status put_resealed(Core& core, storage::Transaction& transaction, const SignerId& signer, const std::vector<ResealedKey>& resealed);

}  // namespace intaglio::sam
