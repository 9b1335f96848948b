#pragma once

#include "sam/core.h"

/// The lock of a wrapped key on its way from Authorise, where the signer's secret is present, to Sign, where the key is opened: two
/// XOR shares, one in the SAD, one in a sealed row beside the authorisation (trust-core, section 2). Neither tells anything of the
/// lock. The row goes as soon as no signature is left to make, whatever else is kept of the authorisation.
namespace intaglio::sam {

struct LockShares {
  Secret carried;  ///< in the SAD
  Secret kept;     ///< in the row
};
[[nodiscard]] Result<LockShares> split_lock(const Secret& lock);
/// `sad`: the token whose digest the authorisation names. `sad_invalid` when it carries no share.
[[nodiscard]] Result<Secret> join_lock(std::string_view sad, const Secret& kept);

/// Beside the new authorisation, for as many signatures as it has documents.
Status store_share(const Core& core, storage::Transaction& transaction, const std::string& authorisation, const Secret& kept,
                   std::uint64_t signatures);
/// The share for this many signatures; with the last one the row goes. `sad_invalid` when it is gone, or for more than are left.
[[nodiscard]] Result<Secret> take_share(const Core& core, storage::Transaction& transaction, const std::string& authorisation,
                                        std::uint64_t signatures);
/// The lock for what is left, split anew between the SAD that follows `sad` and the row: with the old SAD nothing opens any more.
[[nodiscard]] Result<Secret> split_share_anew(const Core& core, storage::Transaction& transaction, const std::string& authorisation,
                                              std::string_view sad);
/// For signatures that were certainly not made and may be asked for again (TC-4).
Status give_share_back(const Core& core, storage::Transaction& transaction, const std::string& authorisation, const Secret& kept,
                       std::uint64_t signatures);
/// Of whatever this signer has approved, before his authorisations go.
Status forget_shares_of(storage::Transaction& transaction, ByteView signer_index);
/// Of authorisations that are over or gone. At start and every half minute.
Status forget_ended_shares(Core& core);

}  // namespace intaglio::sam
