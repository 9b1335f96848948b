#pragma once

#include "storage/database.h"

namespace intaglio::storage {

enum class Dialect { sqlite, postgresql };

/// What Database::migrate says, over its write().
Status migrate(Database& database, const std::vector<Migration>& migrations, Dialect dialect);

}  // namespace intaglio::storage
