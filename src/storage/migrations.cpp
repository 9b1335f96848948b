#include "storage/migrations.h"

#include <algorithm>

#include "base/panic.h"
#include "storage/sqlite/connection.h"

namespace intaglio::storage {

namespace {

constexpr std::string_view migrations_table =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "series TEXT NOT NULL, version INTEGER NOT NULL, statements TEXT NOT NULL, PRIMARY KEY (series, version))";

Error refused(const std::string& why) { return {ErrorCode::configuration, "storage: " + why}; }

/// SQLite writes a trigger's body as statements; PostgreSQL a function's as a text in quotes, which are even in number when it ends.
bool is_complete(const std::string& statement, Dialect dialect) {
  if (dialect == Dialect::sqlite) return sqlite::is_complete(statement);
  return std::count(statement.begin(), statement.end(), '\'') % 2 == 0;
}

/// Each statement of a script by itself, since a prepared statement holds one; a semicolon inside a body ends nothing.
std::vector<std::string> statements_of(std::string_view script, Dialect dialect) {
  std::vector<std::string> statements;
  std::size_t begin = 0;
  for (std::size_t at = script.find(';'); at != std::string_view::npos; at = script.find(';', at + 1)) {
    const std::string candidate(script.substr(begin, at + 1 - begin));
    if (!is_complete(candidate, dialect)) continue;
    statements.push_back(candidate);
    begin = at + 1;
  }
  const auto rest = script.substr(begin);
  if (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) statements.emplace_back(rest);
  return statements;
}

/// What is run, and kept to know it by.
std::string_view text_of(const Migration& migration, Dialect dialect) {
  return dialect == Dialect::postgresql && !migration.postgresql.empty() ? migration.postgresql : migration.sql;
}

/// Compares what was applied with what the program brings; how many of the latter are applied already.
Result<std::size_t> count_applied(Transaction& transaction, const std::vector<Migration>& migrations, Dialect dialect) {
  std::vector<std::string> applied;
  auto read = transaction.query("SELECT statements FROM schema_migrations WHERE series = ?1 ORDER BY version", {migrations.front().sql},
                                [&](const Row& row) {
                                  applied.push_back(row.text(0));
                                  return true;
                                });
  if (!read) return read.error();
  if (applied.size() > migrations.size()) return refused("the database is newer than this program");
  for (std::size_t index = 0; index < applied.size(); ++index) {
    if (applied[index] != text_of(migrations[index], dialect))
      return refused("migration " + std::to_string(index + 1) + " was changed after it was applied");
  }
  return applied.size();
}

Status apply(Transaction& transaction, std::string_view series, const Migration& migration, Dialect dialect) {
  const auto text = text_of(migration, dialect);
  for (const auto& statement : statements_of(text, dialect)) {
    if (auto done = transaction.execute(statement, {}); !done) {
      return Error{done.error().code, "migration " + std::to_string(migration.version) + ": " + done.error().detail};
    }
  }
  auto noted = transaction.execute("INSERT INTO schema_migrations (series, version, statements) VALUES (?1, ?2, ?3)",
                                   {series, std::int64_t{migration.version}, text});
  if (!noted) return noted.error();
  return {};
}

}  // namespace

Status migrate(Database& database, const std::vector<Migration>& migrations, Dialect dialect) {
  if (migrations.empty()) return {};
  for (std::size_t index = 0; index < migrations.size(); ++index) {
    if (migrations[index].version != static_cast<int>(index) + 1) panic("storage: migrations are numbered 1, 2, 3 without gaps");
  }
  // Counted anew in each transaction: another node may migrate at the same time.
  bool more = true;
  while (more) {
    auto done = database.write([&](Transaction& transaction) -> Status {
      if (auto made = transaction.execute(migrations_table, {}); !made) return made.error();
      const auto applied = count_applied(transaction, migrations, dialect);
      if (!applied) return applied.error();
      more = *applied < migrations.size();
      return more ? apply(transaction, migrations.front().sql, migrations[*applied], dialect) : Status();
    });
    if (!done) return done;
  }
  return {};
}

}  // namespace intaglio::storage
