#include "storage/sqlite/connection.h"

#include <sqlite3.h>

#include <mutex>

#include "base/log.h"

namespace intaglio::storage::sqlite {

namespace {

/// Statements kept per connection; our SQL is constant text, so a program that exceeds this builds SQL at run time.
constexpr std::size_t max_kept_statements = 1024;
constexpr int busy_milliseconds = 5000;
/// 16 MiB of 4 KiB pages: large enough that a page which is written often is copied rarely.
constexpr int checkpoint_frames = 4096;

void configure_library() {
  static std::once_flag once;
  // Without statistics an allocation takes no lock that all connections share.
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

/// Whether the whole transaction is lost, and not one statement of it.
bool spoils_transaction(int primary) noexcept {
  switch (primary) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL: return true;
    default: return false;
  }
}

class StatementRow final : public Row {
 public:
  explicit StatementRow(sqlite3_stmt* statement) : statement_(statement) {}

  [[nodiscard]] bool is_null(int column) const override { return type_of(column) == SQLITE_NULL; }
  [[nodiscard]] std::int64_t integer(int column) const override {
    return expect(column, SQLITE_INTEGER) ? sqlite3_column_int64(statement_, column) : 0;
  }
  [[nodiscard]] std::string text(int column) const override {
    if (!expect(column, SQLITE_TEXT)) return {};
    const auto view = as_text({sqlite3_column_text(statement_, column), size_of(column)});
    return std::string(view);
  }
  [[nodiscard]] Bytes bytes(int column) const override {
    if (!expect(column, SQLITE_BLOB)) return {};
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
    return data == nullptr ? Bytes{} : Bytes(data, data + size_of(column));
  }
  /// The column whose stored type was not the one asked for, or -1.
  [[nodiscard]] int foreign_column() const noexcept { return foreign_column_; }

 private:
  [[nodiscard]] std::size_t size_of(int column) const { return static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)); }
  [[nodiscard]] int type_of(int column) const {
    if (column < 0 || column >= sqlite3_column_count(statement_)) panic("storage: a column that the query does not have");
    return sqlite3_column_type(statement_, column);
  }
  [[nodiscard]] bool expect(int column, int type) const {
    if (type_of(column) == type) return true;
    foreign_column_ = column;
    return false;
  }

  sqlite3_stmt* statement_;
  mutable int foreign_column_ = -1;
};

int bind(sqlite3_stmt* statement, int index, const Parameter& parameter) {
  if (const auto* number = std::get_if<std::int64_t>(&parameter)) return sqlite3_bind_int64(statement, index, *number);
  // A null pointer would bind NULL instead of something empty.
  if (const auto* text = std::get_if<std::string_view>(&parameter)) {
    return sqlite3_bind_text64(statement, index, text->empty() ? "" : text->data(), text->size(), nullptr, SQLITE_UTF8);
  }
  if (const auto* bytes = std::get_if<ByteView>(&parameter)) {
    return bytes->empty() ? sqlite3_bind_zeroblob(statement, index, 0)
                          : sqlite3_bind_blob64(statement, index, bytes->data(), bytes->size(), nullptr);
  }
  return sqlite3_bind_null(statement, index);
}

Status bind_all(sqlite3_stmt* statement, Parameters parameters) {
  if (static_cast<std::size_t>(sqlite3_bind_parameter_count(statement)) != parameters.size()) {
    panic("storage: a statement was given another number of parameters than it has");
  }
  int index = 0;
  for (const auto& parameter : parameters) {
    if (bind(statement, ++index, parameter) != SQLITE_OK) return Error{ErrorCode::too_large, "storage: a parameter is too large"};
  }
  return {};
}

int set_up(sqlite3* handle, Access access) {
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, busy_milliseconds);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // Only the writer checkpoints: SQLite before 3.51.3 can damage the file when two connections do (the WAL-reset bug), and
  // a checkpoint inside COMMIT would keep the callers of that commit waiting.
  const char* pragmas = access == Access::read_write
                            ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON;"
                              "PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=0;"
                            : "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0;";
  return sqlite3_exec(handle, pragmas, nullptr, nullptr, nullptr);
}

std::string uri_of(const std::filesystem::path& path, Access access) {
  std::string uri = "file:";
  for (const char character : path.string()) {
    if (character == '%' || character == '?' || character == '#') {
      const auto byte = static_cast<std::uint8_t>(character);
      uri += '%' + encode_hex({&byte, 1});
    } else {
      uri += character;
    }
  }
  return access == Access::immutable ? uri + "?immutable=1" : uri;
}

}  // namespace

/// A statement while it runs; reset, and freed when it is not kept, on every path.
class Connection::Use {
 public:
  [[nodiscard]] static Result<Use> begin(Connection& connection, std::string_view sql) {
    auto* kept = connection.find_kept(sql);
    if (kept != nullptr && !kept->in_use) {
      kept->in_use = true;
      return Use(kept->handle, kept);
    }
    const bool keep = kept == nullptr && connection.statements_.size() < max_kept_statements;
    auto handle = connection.prepare(sql, keep);
    if (!handle) return handle.error();
    if (!keep) return Use(*handle, nullptr);
    auto statement = std::make_unique<Statement>(Statement{std::string(sql), *handle, true});
    auto* pointer = statement.get();
    connection.statements_.emplace(statement->sql, std::move(statement));
    return Use(pointer->handle, pointer);
  }
  ~Use() {
    if (handle_ == nullptr) return;
    if (kept_ == nullptr) {
      sqlite3_finalize(handle_);
      return;
    }
    sqlite3_reset(handle_);
    sqlite3_clear_bindings(handle_);
    kept_->in_use = false;
  }
  Use(Use&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), kept_(other.kept_) {}
  Use& operator=(Use&&) = delete;

  [[nodiscard]] sqlite3_stmt* handle() const noexcept { return handle_; }

 private:
  Use(sqlite3_stmt* handle, Statement* kept) : handle_(handle), kept_(kept) {}
  sqlite3_stmt* handle_;
  Statement* kept_;
};

Connection::Connection(sqlite3* handle) : handle_(handle), checkpoint_at_(checkpoint_frames) {}

Result<std::unique_ptr<storage::Connection>> Connection::open(const std::filesystem::path& path, Access access) {
  configure_library();
  sqlite3* handle = nullptr;
  const int flags = (access == Access::read_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  int code = sqlite3_open_v2(uri_of(path, access).c_str(), &handle, flags, nullptr);
  if (handle == nullptr) return Error{ErrorCode::storage_unavailable, "sqlite: out of memory"};
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (code == SQLITE_OK) code = set_up(handle, access);
  if (code != SQLITE_OK) {
    auto error = connection->error_of(code);
    error.detail += " (" + path.string() + ")";
    return error;
  }
  if (access == Access::read_write) {
    sqlite3_wal_hook(
        handle,
        [](void* self, sqlite3*, const char*, int frames) {
          static_cast<Connection*>(self)->log_frames_ = frames;
          return SQLITE_OK;
        },
        connection.get());
  }
  return std::unique_ptr<storage::Connection>(std::move(connection));
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement->handle);
  sqlite3_close(handle_);
}

Connection::Statement* Connection::find_kept(std::string_view sql) noexcept {
  // SQL is constant text, so its address finds the statement; the text is compared all the same, because an address can be
  // used again for another text.
  auto& shortcut = shortcuts_[(reinterpret_cast<std::uintptr_t>(sql.data()) >> 3U) % shortcuts_.size()];
  if (shortcut.statement != nullptr && shortcut.text == sql.data() && shortcut.statement->sql == sql) return shortcut.statement;
  const auto found = statements_.find(sql);
  if (found == statements_.end()) return nullptr;
  shortcut = {sql.data(), found->second.get()};
  return found->second.get();
}

Result<sqlite3_stmt*> Connection::prepare(std::string_view sql, bool keep) {
  sqlite3_stmt* handle = nullptr;
  const unsigned flags = keep ? SQLITE_PREPARE_PERSISTENT : 0U;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), flags, &handle, nullptr);
  if (code != SQLITE_OK) return error_of(code);
  if (handle == nullptr) panic("storage: an empty statement");
  return handle;
}

Error Connection::error_of(int code) {
  const std::string detail = std::string("sqlite: ") + sqlite3_errmsg(handle_) + " (" + std::to_string(code) + ")";
  const int primary = code & 0xff;
  if (primary == SQLITE_CONSTRAINT) {
    const bool taken = code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID;
    return {taken ? ErrorCode::conflict : ErrorCode::internal, detail};
  }
  Error error{primary == SQLITE_TOOBIG ? ErrorCode::too_large : ErrorCode::storage_unavailable, detail};
  if (spoils_transaction(primary)) failure_ = error;
  return error;
}

Result<std::int64_t> Connection::execute(std::string_view sql, Parameters parameters) {
  auto use = Use::begin(*this, sql);
  if (!use) return use.error();
  if (auto bound = bind_all(use->handle(), parameters); !bound) return bound.error();
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(use->handle());
  if (code != SQLITE_DONE) return error_of(code);
  return sqlite3_changes64(handle_);
}

Status Connection::query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) {
  auto use = Use::begin(*this, sql);
  if (!use) return use.error();
  if (auto bound = bind_all(use->handle(), parameters); !bound) return bound.error();
  const StatementRow row(use->handle());
  for (;;) {
    const int code = sqlite3_step(use->handle());
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) return error_of(code);
    const bool more = each(row);
    if (row.foreign_column() >= 0) {
      return Error{ErrorCode::storage_unavailable, "storage: column " + std::to_string(row.foreign_column()) +
                                                       " holds another type than the program wrote: " + std::string(sql)};
    }
    if (!more) return {};
  }
}

bool Connection::is_idle() const noexcept { return sqlite3_get_autocommit(handle_) != 0; }

Status Connection::run(std::string_view sql) {
  auto done = execute(sql, {});
  return done ? Status() : Status(done.error());
}

Status Connection::begin() { return run("BEGIN IMMEDIATE"); }
Status Connection::begin_snapshot() { return run("BEGIN"); }
Status Connection::commit() { return run("COMMIT"); }
Status Connection::roll_back() { return run("ROLLBACK"); }

bool Connection::upkeep_due() {
  if (log_frames_ < last_frames_) checkpoint_at_ = checkpoint_frames;
  last_frames_ = log_frames_;
  return log_frames_ >= checkpoint_at_;
}

void Connection::upkeep() {
  const int frames = log_frames_;
  if (auto done = checkpoint(); !done) {
    const char* path = sqlite3_db_filename(handle_, "main");
    log::refusal("storage.checkpoint_failed", done.error(), {{"path", path == nullptr ? "" : path}});
  }
  checkpoint_at_ = frames + checkpoint_frames;
}

Status Connection::checkpoint() {
  int frames = 0;
  int copied = 0;
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
  if (code != SQLITE_OK) return error_of(code);
  if (copied == frames) log_frames_ = 0;
  return {};
}

bool is_complete(const std::string& sql) noexcept { return sqlite3_complete(sql.c_str()) != 0; }

}  // namespace intaglio::storage::sqlite
