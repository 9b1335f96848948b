#include "storage/database.h"

#include "storage/group_writer.h"
#include "storage/migrations.h"
#include "storage/readers.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/owner_lock.h"

namespace intaglio::storage {

namespace {

Connect connect_to(const std::filesystem::path& path, sqlite::Access access) {
  return [path, access] { return sqlite::Connection::open(path, access); };
}

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const std::filesystem::path& path, sqlite::OwnerLock lock, std::unique_ptr<Connection> connection)
      : lock_(std::move(lock)),
        writer_(path.string(), connect_to(path, sqlite::Access::read_write), std::move(connection)),
        readers_(connect_to(path, sqlite::Access::read_only)) {}

  Status write(const std::function<Status(Transaction&)>& work) override { return writer_.write(work); }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()> hook) override { writer_.on_commit(std::move(hook)); }
  Status migrate(const std::vector<Migration>& migrations) override { return storage::migrate(*this, migrations, Dialect::sqlite); }

 private:
  // In this order: the readers close first, so that the writer is the last and empties the write-ahead log.
  sqlite::OwnerLock lock_;
  GroupWriter writer_;
  Readers readers_;
};

class ReadOnlyDatabase final : public Database {
 public:
  ReadOnlyDatabase(const std::filesystem::path& path, sqlite::Access access) : readers_(connect_to(path, access)) {}

  Status write(const std::function<Status(Transaction&)>&) override {
    return Error{ErrorCode::unsupported, "storage: opened for reading only"};
  }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()>) override {}
  Status migrate(const std::vector<Migration>&) override { return Error{ErrorCode::unsupported, "storage: opened for reading only"}; }

 private:
  Readers readers_;
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
