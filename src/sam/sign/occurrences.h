#pragma once

#include "sam/core.h"

/// The places of authorised lists, as they stand in the database (TC-4).
namespace intaglio::sam {

struct FoundOccurrence {
  std::uint64_t version;
  Occurrence occurrence;
};
[[nodiscard]] Result<FoundOccurrence> find_occurrence(const Core& core, storage::Reader& reader, const std::string& authorisation,
                                                      std::size_t position);
/// `conflict` when the row is no longer of this version: someone else has it, so nothing may be released (TC-5).
Status update_occurrence(const Core& core, storage::Transaction& transaction, const std::string& authorisation, std::size_t position,
                         std::uint64_t version, const Occurrence& occurrence);

}  // namespace intaglio::sam
