#pragma once

#include <chrono>

#include "storage/database.h"

namespace intaglio::storage {

/// How long a node waits for its turn to write.
constexpr std::chrono::milliseconds turn_patience{10000};

/// One of several owners of a database on PostgreSQL, each with a name of its own. Their writes take turns: a node has the turn from
/// before its first statement until its commit is durable, so that a work sees all that was committed before it and nothing else is
/// committed meanwhile, as with the only owner. What a node remembers of a row between two works may have been changed by another.
/// Promises and refusals of open_postgresql; `conflict` while another process has this name, or one owns the database alone. `write` is
/// refused (`busy`) when the turn did not come within `patience`: nothing was begun, and the node keeps its name.
[[nodiscard]] Result<std::unique_ptr<Database>> open_postgresql_node(const PostgresqlAddress& address, std::string_view node,
                                                                     std::chrono::milliseconds patience = turn_patience);

/// For offline tools: what a node reads, beside the nodes that run. `write` and `migrate` are refused (`unsupported`). Connects at
/// the first read.
[[nodiscard]] std::unique_ptr<Database> open_postgresql_read_only(const PostgresqlAddress& address, std::string_view node);

}  // namespace intaglio::storage
