#pragma once

#include "json/json.h"
#include "sam/core.h"

/// An authorisation as it is kept, and the token that names it.
namespace intaglio::sam {

/// `methods`: what was shown. `share`: the half of the lock that the SAD carries in wrapped custody, else null.
[[nodiscard]] Result<std::string> make_sad(const Core& core, const Authorisation& authorisation, const std::vector<std::string>& methods,
                                           const Secret* share);
/// What a SAD says that is known by its digest; `sad_invalid` when it is none of ours. May hold a share of the lock: to be wiped.
[[nodiscard]] Result<json::Value> claims_of_sad(std::string_view sad);
/// The record and one occurrence for each document; the signer's earlier authorisation ends.
Status store_authorisation(const Core& core, storage::Transaction& transaction, const Authorisation& authorisation, const Secret* share);
/// An authorisation with a free occurrence for each document. `owner`: the blind index by which it is voided.
Status store_list(const Core& core, storage::Transaction& transaction, const Authorisation& authorisation, ByteView owner);

/// An authorisation as its row holds it.
struct StoredAuthorisation {
  std::string id;
  std::uint64_t version;  ///< 1, and one more with each SAD that followed
  Authorisation authorisation;
};
/// By the digest of the whole token: a SAD that differs in one bit has none. Nothing when no authorisation has this SAD; `sad_invalid` when the
/// row says so and its sealed record does not.
[[nodiscard]] Result<std::optional<StoredAuthorisation>> find_authorisation(const Core& core, storage::Reader& reader,
                                                                            const crypto::Sha256Digest& sad);
/// The same authorisation under its new SAD and end. `conflict` when the row is no longer of this version.
Status replace_authorisation(const Core& core, storage::Transaction& transaction, const StoredAuthorisation& stored);

}  // namespace intaglio::sam
