#include "storage/database.h"

#include <algorithm>

#include "storage/sqlite/owner_lock.h"
#include "storage/sqlite/readers.h"
#include "storage/sqlite/writer.h"

namespace intaglio::storage {

namespace {

constexpr std::string_view migrations_table =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "series TEXT NOT NULL, version INTEGER NOT NULL, statements TEXT NOT NULL, PRIMARY KEY (series, version))";

Error refused(const std::string& why) { return {ErrorCode::configuration, "storage: " + why}; }

/// Each statement of a script by itself, since a prepared statement holds one; a semicolon inside a trigger's body ends nothing.
std::vector<std::string> statements_of(std::string_view script) {
  std::vector<std::string> statements;
  std::size_t begin = 0;
  for (std::size_t at = script.find(';'); at != std::string_view::npos; at = script.find(';', at + 1)) {
    const std::string candidate(script.substr(begin, at + 1 - begin));
    if (!sqlite::is_complete(candidate)) continue;
    statements.push_back(candidate);
    begin = at + 1;
  }
  const auto rest = script.substr(begin);
  if (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) statements.emplace_back(rest);
  return statements;
}

/// Compares what was applied with what the program brings; how many of the latter are applied already.
Result<std::size_t> count_applied(Transaction& transaction, const std::vector<Migration>& migrations) {
  std::vector<std::string> applied;
  auto read = transaction.query("SELECT statements FROM schema_migrations WHERE series = ?1 ORDER BY version", {migrations.front().sql},
                                [&](const Row& row) {
                                  applied.push_back(row.text(0));
                                  return true;
                                });
  if (!read) return read.error();
  if (applied.size() > migrations.size()) return refused("the database is newer than this program");
  for (std::size_t index = 0; index < applied.size(); ++index) {
    if (applied[index] != migrations[index].sql)
      return refused("migration " + std::to_string(index + 1) + " was changed after it was applied");
  }
  return applied.size();
}

Status apply(Transaction& transaction, std::string_view series, const Migration& migration) {
  for (const auto& statement : statements_of(migration.sql)) {
    if (auto done = transaction.execute(statement, {}); !done) {
      return Error{done.error().code, "migration " + std::to_string(migration.version) + ": " + done.error().detail};
    }
  }
  auto noted = transaction.execute("INSERT INTO schema_migrations (series, version, statements) VALUES (?1, ?2, ?3)",
                                   {series, std::int64_t{migration.version}, migration.sql});
  if (!noted) return noted.error();
  return {};
}

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const std::filesystem::path& path, sqlite::OwnerLock lock, std::unique_ptr<sqlite::Connection> connection)
      : lock_(std::move(lock)), writer_(path, std::move(connection)), readers_(path, sqlite::Access::read_only) {}

  Status write(const std::function<Status(Transaction&)>& work) override { return writer_.write(work); }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()> hook) override { writer_.on_commit(std::move(hook)); }
  Status migrate(const std::vector<Migration>& migrations) override;

 private:
  // In this order: the readers close first, so that the writer is the last and empties the write-ahead log.
  sqlite::OwnerLock lock_;
  sqlite::Writer writer_;
  sqlite::Readers readers_;
};

Status SqliteDatabase::migrate(const std::vector<Migration>& migrations) {
  if (migrations.empty()) return {};
  for (std::size_t index = 0; index < migrations.size(); ++index) {
    if (migrations[index].version != static_cast<int>(index) + 1) panic("storage: migrations are numbered 1, 2, 3 without gaps");
  }
  std::size_t applied = 0;
  auto prepared = write([&](Transaction& transaction) -> Status {
    if (auto made = transaction.execute(migrations_table, {}); !made) return made.error();
    auto counted = count_applied(transaction, migrations);
    if (!counted) return counted.error();
    applied = *counted;
    return {};
  });
  if (!prepared) return prepared;
  for (std::size_t index = applied; index < migrations.size(); ++index) {
    auto done = write([&](Transaction& transaction) { return apply(transaction, migrations.front().sql, migrations[index]); });
    if (!done) return done;
  }
  return {};
}

class ReadOnlyDatabase final : public Database {
 public:
  ReadOnlyDatabase(const std::filesystem::path& path, sqlite::Access access) : readers_(path, access) {}

  Status write(const std::function<Status(Transaction&)>&) override {
    return Error{ErrorCode::unsupported, "storage: opened for reading only"};
  }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()>) override {}
  Status migrate(const std::vector<Migration>&) override { return Error{ErrorCode::unsupported, "storage: opened for reading only"}; }

 private:
  sqlite::Readers readers_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path) {
  auto lock = sqlite::OwnerLock::take(path);
  if (!lock) return lock.error();
  if (auto made = sqlite::make_private_file(path); !made) return made.error();
  auto connection = sqlite::Connection::open(path, sqlite::Access::read_write);
  if (!connection) return connection.error();
  return std::unique_ptr<Database>(std::make_unique<SqliteDatabase>(path, std::move(*lock), std::move(*connection)));
}

Result<std::unique_ptr<Database>> open_sqlite_read_only(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) return Error{ErrorCode::not_found, "storage: no database at " + path.string()};
  // Beside a running owner, or where its files can be made, the snapshot is a real one; a copy on read-only media has no owner.
  for (const auto access : {sqlite::Access::read_only, sqlite::Access::immutable}) {
    auto tried = sqlite::Connection::open(path, access);
    if (tried && (*tried)->query("SELECT name FROM sqlite_master LIMIT 1", {}, [](const Row&) { return false; })) {
      return std::unique_ptr<Database>(std::make_unique<ReadOnlyDatabase>(path, access));
    }
  }
  return Error{ErrorCode::storage_unavailable, "storage: not a readable database: " + path.string()};
}

}  // namespace intaglio::storage
