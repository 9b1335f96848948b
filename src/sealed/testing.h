#pragma once

#include <memory>

#include "sealed/sealer.h"

namespace intaglio::sealed {

/// A sealer over a token that exists in memory only, for the unit tests of the rooms above: `wrapping_key` (32 bytes) stands for
/// the token's. The database must be migrated with Sealer::migrations() and must outlive the sealer. `versions`: see Sealer::open.
[[nodiscard]] Result<std::shared_ptr<Sealer>> open_testing_sealer(storage::Database& database, ByteView wrapping_key,
                                                                  std::shared_ptr<const Clock> clock,
                                                                  const std::filesystem::path& versions);

}  // namespace intaglio::sealed
