#pragma once

#include <vector>

#include "storage/database.h"

namespace intaglio::oauth {

/// The tables of this room.
[[nodiscard]] const std::vector<storage::Migration>& migrations();

}  // namespace intaglio::oauth
