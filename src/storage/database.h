#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio::storage {

/// What a statement is given: an integer, a text, bytes, or NULL. Views live until the call returns.
using Parameter = std::variant<std::nullptr_t, std::int64_t, std::string_view, ByteView>;
using Parameters = std::initializer_list<Parameter>;

/// One row of an answer; columns by position, a position beyond the columns is a bug (panic). When the stored value has another
/// type than the one asked for, somebody else wrote it: the getter gives 0 or nothing and the whole query is refused
/// (storage_unavailable), so that what was read of it is never used.
class Row {
 public:
  virtual ~Row() = default;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string text(int column) const = 0;
  [[nodiscard]] virtual Bytes bytes(int column) const = 0;
};

/// Reads. SQL is what SQLite and PostgreSQL share, parameters written ?1, ?2 …; statements are prepared once and kept.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Calls `each` per row until it returns false.
  virtual Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) = 0;
  /// Convenience: the first row mapped, or nothing.
  template <typename T>
  Result<std::optional<T>> query_one(std::string_view sql, Parameters parameters, const std::function<T(const Row&)>& map) {
    std::optional<T> found;
    auto done = query(sql, parameters, [&](const Row& row) {
      found.emplace(map(row));
      return false;
    });
    if (!done) return done.error();
    return found;
  }
};

/// Reads and writes inside one durable transaction.
class Transaction : public Reader {
 public:
  /// How many rows changed. `conflict` when a UNIQUE or PRIMARY KEY constraint refused.
  [[nodiscard]] virtual Result<std::int64_t> execute(std::string_view sql, Parameters parameters) = 0;
  /// Runs `done` when the commit that holds this work is durable, before the commit hooks; never when the work is refused or the
  /// commit fails. It must not use the database.
  virtual void after_commit(std::function<void()> done) = 0;
};

struct Migration {
  int version;           ///< 1, 2, 3 … without gaps
  std::string_view sql;  ///< several statements
  /// The same for PostgreSQL where it takes more than other names of types (which are put in by themselves).
  std::string_view postgresql = {};
};

/// A database of one owner. There is one read-write connection; the work of all callers who wait for it goes into one commit (each
/// in its own savepoint); readers are read-only connections.
class Database {
 public:
  virtual ~Database() = default;

  /// Runs `work` in the writer's transaction, on this thread or another, one work at a time. Success returns only after the commit that holds it is durable and after
  /// every commit hook has run; a refusal by `work` rolls its savepoint back and nothing of it remains.
  /// storage_unavailable when the commit failed (full or read-only disk): nothing of it remains, and the next call tries afresh.
  /// `busy` when too many callers wait. Must not be called by `work` or by a commit hook (panic); `read` may.
  virtual Status write(const std::function<Status(Transaction&)>& work) = 0;
  /// Runs `work` on a read-only snapshot.
  virtual Status read(const std::function<Status(Reader&)>& work) = 0;
  /// Called after each durable commit, before any of its callers is released and before the next transaction. When it refuses,
  /// the callers of that commit get its error: what they did stands, but its outcome is not released (trust-core, 4).
  virtual void on_commit(std::function<Status()> hook) = 0;
  /// Forward only, each migration in a transaction of its own; refused (`configuration`) when the database is newer than the
  /// program or an applied migration was changed. Rooms that share a database each bring a series of their own, numbered from 1;
  /// a series is known by the text of its first migration.
  virtual Status migrate(const std::vector<Migration>& migrations) = 0;
};

/// WAL, synchronous=FULL, foreign keys on, deleted content overwritten, created with mode 0600. Refused (`conflict`) while another
/// Database, of this process or another, has the file open for writing.
[[nodiscard]] Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path);
/// For offline tools: reads beside a running owner, or a copy in a folder that cannot be written. `write` and `migrate` are refused
/// (`unsupported`); refused (`not_found`) when the file does not exist.
[[nodiscard]] Result<std::unique_ptr<Database>> open_sqlite_read_only(const std::filesystem::path& path);
/// Writes a copy of the database, as one commit left it, to a new file of mode 0600, beside an owner that goes on writing; checks that it is
/// sound. `conflict` when there is a file of that name.
Status back_up_sqlite(const std::filesystem::path& database, const std::filesystem::path& copy);

/// Where a database of PostgreSQL 15 or later is, and who we are there.
struct PostgresqlAddress {
  std::string hosts;  ///< one folder with the server's socket, or names separated by commas: of several the one that takes writes
  std::string ports;  ///< one for all, or one each, separated by commas; empty: 5432
  std::string name;  ///< of the database
  std::string user;
  std::filesystem::path passfile;  ///< of libpq's form and mode 0600; empty where TLS or the socket says who we are
  std::filesystem::path tls_root, tls_certificate, tls_key;  ///< PEM; names of hosts are checked. The root is needed for names of hosts
  bool synchronous_standby = false;  ///< refuse a server whose commits no standby has when they are acknowledged
};
/// The same promises as open_sqlite. The owner holds an advisory lock of the schema: refused (`conflict`) while another one has it.
/// Refused (`configuration`) when the server may lose what it acknowledged: fsync or full_page_writes off, or no synchronous standby
/// where one is asked for. A commit whose answer was lost and of which nothing can be learned is refused, and may stand all the same.
[[nodiscard]] Result<std::unique_ptr<Database>> open_postgresql(const PostgresqlAddress& address);

}  // namespace intaglio::storage
