#pragma once

#include <string>
#include <string_view>

namespace intaglio::storage::postgres {

/// A statement of ours as PostgreSQL takes it: parameters $1 instead of ?1; in CREATE and ALTER its names of types, and nothing that
/// is SQLite's own. Quoted text stays as it is;
/// a semicolon at the end goes.
[[nodiscard]] std::string translate(std::string_view sql);

/// Whether a row that is there already can make this statement insert nothing instead of failing, which would spoil the whole
/// transaction: INSERT … VALUES without a clause of its own for that.
[[nodiscard]] bool is_plain_insert(std::string_view sql);

}  // namespace intaglio::storage::postgres
