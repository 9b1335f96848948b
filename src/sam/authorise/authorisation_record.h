#pragma once

#include "sam/core.h"

/// An authorisation as it is kept, and the token that names it.
namespace intaglio::sam {

/// `methods`: what was shown. `share`: the half of the lock that the SAD carries in wrapped custody, else null.
[[nodiscard]] Result<std::string> make_sad(const Core& core, const Authorisation& authorisation, const std::vector<std::string>& methods,
                                           const Secret* share);
/// The record and one occurrence for each document; the signer's earlier authorisation ends.
Status store_authorisation(const Core& core, storage::Transaction& transaction, const Authorisation& authorisation, const Secret* share);
/// An authorisation with a free occurrence for each document. `owner`: the blind index by which it is voided.
Status store_list(const Core& core, storage::Transaction& transaction, const Authorisation& authorisation, ByteView owner);

}  // namespace intaglio::sam
