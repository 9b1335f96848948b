#pragma once

#include <memory>

#include "sealed/sealer.h"

namespace intaglio::sealed {

/// A sealer over a token that exists in memory only, for the unit tests of the rooms above. The database must be migrated
/// with Sealer::migrations().
[[nodiscard]] Result<std::shared_ptr<Sealer>> open_testing_sealer(storage::Database& database, std::shared_ptr<const Clock> clock);

}  // namespace intaglio::sealed
