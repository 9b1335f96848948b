#include "storage/postgres/connection.h"

#include <libpq-fe.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "storage/postgres/dialect.h"

namespace intaglio::storage::postgres {

namespace {

/// pg_type.oid, which are part of the protocol and never change.
constexpr Oid type_bytea = 17, type_int8 = 20, type_int2 = 21, type_int4 = 23, type_text = 25, type_varchar = 1043;
constexpr int binary = 1;
constexpr int least_version = 150000;
constexpr std::size_t max_kept_statements = 1024;
/// Names of advisory locks: a number for what the lock is, then what it is of. The only owner of a schema has it alone; nodes share
/// it, and each has its own node alone.
constexpr const char* take_schema = "SELECT pg_try_advisory_lock(1231975521, hashtext(current_schema()))::text";
constexpr const char* share_schema = "SELECT pg_try_advisory_lock_shared(1231975521, hashtext(current_schema()))::text";
constexpr const char* take_node =
    "SELECT pg_try_advisory_lock(1231975522, hashtext(current_schema() || ' ' || current_setting('intaglio.node')))::text";
/// Whose turn it is to write: held from before the first statement until the commit is durable, here and on the standby.
constexpr std::string_view take_turn = "SELECT pg_advisory_xact_lock(1231975523, hashtext(current_schema()));";
/// A node that hangs within its turn, or that was cut off in it, must not stop the others for long.
constexpr const char* limits_of_a_node =
    "SET idle_in_transaction_session_timeout TO 15000; SET tcp_keepalives_idle TO 5; SET tcp_keepalives_interval TO 2; "
    "SET tcp_keepalives_count TO 3";
/// How long a commit whose answer was lost is asked after; a standby that takes over needs some seconds.
constexpr std::chrono::seconds settle_patience{20};
constexpr std::chrono::milliseconds settle_pause{200};

std::string trimmed(const char* message) {
  std::string text = message == nullptr ? "" : message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

/// The parameters in the binary format of the protocol.
class Encoded {
 public:
  explicit Encoded(Parameters parameters) {
    numbers_.reserve(parameters.size());
    for (const auto& parameter : parameters) add(parameter);
  }
  [[nodiscard]] int count() const { return static_cast<int>(values_.size()); }
  [[nodiscard]] const char* const* values() const { return values_.data(); }
  [[nodiscard]] const int* lengths() const { return lengths_.data(); }
  [[nodiscard]] const int* formats() const { return formats_.data(); }
  [[nodiscard]] const Oid* types() const { return types_.data(); }

 private:
  using Number = std::array<char, 8>;

  void add(const Parameter& parameter) {
    if (const auto* number = std::get_if<std::int64_t>(&parameter)) {
      auto& octets = numbers_.emplace_back();
      for (std::size_t at = 0; at < octets.size(); ++at)
        octets.at(at) = static_cast<char>(static_cast<std::uint64_t>(*number) >> (8U * (octets.size() - 1 - at)));
      put(octets.data(), octets.size(), type_int8);
    } else if (const auto* text = std::get_if<std::string_view>(&parameter)) {
      put(text->empty() ? "" : text->data(), text->size(), type_text);
    } else if (const auto* bytes = std::get_if<ByteView>(&parameter)) {
      put(bytes->empty() ? "" : as_text(*bytes).data(), bytes->size(), type_bytea);
    } else {
      put(nullptr, 0, 0);
    }
  }
  void put(const char* value, std::size_t length, Oid type) {
    values_.push_back(value);
    lengths_.push_back(static_cast<int>(length));
    formats_.push_back(binary);
    types_.push_back(type);
  }

  std::vector<Number> numbers_;
  std::vector<const char*> values_;
  std::vector<int> lengths_, formats_;
  std::vector<Oid> types_;
};

class AnswerRow final : public Row {
 public:
  explicit AnswerRow(const PGresult* answer) : answer_(answer) {}
  void go_to(int row) noexcept { row_ = row; }

  [[nodiscard]] bool is_null(int column) const override {
    check(column);
    return PQgetisnull(answer_, row_, column) != 0;
  }
  [[nodiscard]] std::int64_t integer(int column) const override {
    const std::size_t length = expect(column, {type_int8, type_int4, type_int2});
    const auto octets = value(column, length);
    std::uint64_t number = !octets.empty() && (octets.front() & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
    for (const auto octet : octets) number = number << 8U | octet;
    return static_cast<std::int64_t>(number);
  }
  [[nodiscard]] std::string text(int column) const override {
    return std::string(as_text(value(column, expect(column, {type_text, type_varchar}))));
  }
  [[nodiscard]] Bytes bytes(int column) const override { return to_bytes(value(column, expect(column, {type_bytea}))); }
  /// The column whose stored type was not the one asked for, or -1.
  [[nodiscard]] int foreign_column() const noexcept { return foreign_column_; }

 private:
  void check(int column) const {
    if (column < 0 || column >= PQnfields(answer_)) panic("storage: a column that the query does not have");
  }
  /// How long the value is; 0 when it is not of these types, or NULL.
  [[nodiscard]] std::size_t expect(int column, std::initializer_list<Oid> types) const {
    check(column);
    for (const auto type : types) {
      if (PQftype(answer_, column) == type && PQgetisnull(answer_, row_, column) == 0)
        return static_cast<std::size_t>(PQgetlength(answer_, row_, column));
    }
    foreign_column_ = column;
    return 0;
  }
  [[nodiscard]] ByteView value(int column, std::size_t length) const {
    return as_bytes(std::string_view(PQgetvalue(answer_, row_, column), length));
  }

  const PGresult* answer_;
  int row_ = 0;
  mutable int foreign_column_ = -1;
};

/// Whether the whole transaction is lost, and not one statement of it (appendix A of the manual: classes of SQLSTATE).
bool spoils_transaction(std::string_view state) {
  for (const std::string_view begin : {"08", "25006", "40", "53", "57", "58", "XX"}) {
    if (state.starts_with(begin)) return true;
  }
  return state.empty();
}

bool are_socket_folders(const std::string& hosts) { return hosts.starts_with('/') && hosts.find(',') == std::string::npos; }

}  // namespace

void Connection::Closer::operator()(pg_conn* connection) const noexcept { PQfinish(connection); }
void Connection::Closer::operator()(pg_result* result) const noexcept { PQclear(result); }

Result<Connection::Handle> Connection::connect(const PostgresqlAddress& address) {
  const bool local = are_socket_folders(address.hosts);
  if (refused_by("storage.postgresql-tls", !local && address.tls_root.empty()))
    return Error{ErrorCode::configuration, "postgresql: a server that is not on this machine needs tls_root"};
  std::vector<std::pair<const char*, std::string>> words = {{"host", address.hosts},
                                                            {"port", address.ports},
                                                            {"dbname", address.name},
                                                            {"user", address.user},
                                                            {"passfile", address.passfile.string()},
                                                            {"sslmode", local ? "disable" : "verify-full"},
                                                            {"sslrootcert", address.tls_root.string()},
                                                            {"sslcert", address.tls_certificate.string()},
                                                            {"sslkey", address.tls_key.string()},
                                                            {"ssl_min_protocol_version", "TLSv1.3"},
                                                            {"gssencmode", "disable"},
                                                            // Of several hosts the one that takes writes: after a fail-over another.
                                                            {"target_session_attrs", "read-write"},
                                                            {"application_name", "intaglio"},
                                                            {"client_encoding", "UTF8"},
                                                            {"connect_timeout", "5"},
                                                            {"tcp_user_timeout", "10000"},
                                                            {"keepalives_idle", "5"},
                                                            {"keepalives_interval", "2"},
                                                            {"keepalives_count", "3"}};
  std::vector<const char*> names, values;
  for (const auto& [name, value] : words) {
    if (value.empty()) continue;
    names.push_back(name);
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  Handle handle(PQconnectdbParams(names.data(), values.data(), 0));
  if (!handle) return Error{ErrorCode::storage_unavailable, "postgresql: out of memory"};
  if (PQstatus(handle.get()) != CONNECTION_OK)
    return Error{ErrorCode::storage_unavailable, "postgresql: " + trimmed(PQerrorMessage(handle.get()))};
  // What the server remarks is in its own log.
  PQsetNoticeProcessor(
      handle.get(), [](void*, const char*) {}, nullptr);
  return handle;
}

Result<std::unique_ptr<storage::Connection>> Connection::open(const PostgresqlAddress& address, Role role, std::string_view node,
                                                              std::chrono::milliseconds patience) {
  auto handle = connect(address);
  if (!handle) return handle.error();
  std::unique_ptr<Connection> connection(new Connection(address, role, node, patience, std::move(*handle)));
  if (auto done = connection->set_up(); !done) return done.error();
  return std::unique_ptr<storage::Connection>(std::move(connection));
}

Connection::~Connection() = default;

Status Connection::set_up() {
  if (PQserverVersion(handle_.get()) < least_version)
    return Error{ErrorCode::configuration, "postgresql: the server is older than version 15"};
  // A commit is acknowledged when it is durable, whatever the server's default; what hangs ends by itself.
  const auto limits =
      "SET synchronous_commit TO on; SET statement_timeout TO 30000; SET idle_in_transaction_session_timeout TO 120000; "
      "SET lock_timeout TO " +
      std::to_string(patience_.count());
  if (auto set = run(limits.c_str(), "SET"); !set) return set;
  if (auto named = name_node(); !named || role_ == Role::reader) return named;
  if (auto durable = check_durability(); !durable) return durable;
  return own();
}

/// Views show each node what is its own by this setting (audit/detail/entries.cpp).
Status Connection::name_node() {
  const std::unique_ptr<char, void (*)(void*)> quoted(PQescapeLiteral(handle_.get(), node_.data(), node_.size()), PQfreemem);
  if (!quoted) return Error{ErrorCode::configuration, "postgresql: not a name of a node: " + node_};
  const auto name = "SET intaglio.node TO " + std::string(quoted.get());
  return run(name.c_str(), "SET");
}

Status Connection::own() {
  auto owned = ask(node_.empty() ? take_schema : share_schema);
  if (!owned) return owned.error();
  if (refused_by("storage.postgresql-owner", *owned != "true"))
    return Error{ErrorCode::conflict, "postgresql: another process has the database open for writing"};
  if (!node_.empty()) {
    auto alone = ask(take_node);
    if (!alone) return alone.error();
    if (refused_by("storage.postgresql-node", *alone != "true"))
      return Error{ErrorCode::conflict, "postgresql: another process has the database open for writing as node " + node_};
    if (auto limited = run(limits_of_a_node, "SET"); !limited) return limited;
  }
  // In turn: two that create the same table at the same time disturb each other.
  const auto made = "BEGIN; " + std::string(take_turn) +
                    "CREATE TABLE IF NOT EXISTS storage_commits (node TEXT PRIMARY KEY, name TEXT NOT NULL); "
                    "INSERT INTO storage_commits (node, name) VALUES (current_setting('intaglio.node'), '') ON CONFLICT DO NOTHING; COMMIT";
  return run(made.c_str(), "COMMIT");
}

Status Connection::check_durability() {
  for (const std::string setting : {"fsync", "full_page_writes"}) {
    auto value = ask("SELECT current_setting('" + setting + "')");
    if (!value) return value.error();
    if (refused_by("storage.postgresql-durable", *value != "on"))
      return Error{ErrorCode::configuration,
                   "postgresql: the server runs with " + setting + " = " + *value + " and may lose what it has acknowledged"};
  }
  if (!address_.synchronous_standby) return {};
  auto standbys = ask("SELECT current_setting('synchronous_standby_names')");
  if (!standbys) return standbys.error();
  if (refused_by("storage.postgresql-standby", standbys->empty()))
    return Error{
        ErrorCode::configuration,
        "postgresql: the server has no synchronous standby (synchronous_standby_names): a fail-over would lose what it has acknowledged"};
  return {};
}

/// The only value of the only row, as text.
Result<std::string> Connection::ask(const std::string& sql) {
  const Answer answer(PQexec(handle_.get(), sql.c_str()));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) return error_of(answer.get());
  if (PQntuples(answer.get()) != 1 || PQnfields(answer.get()) != 1 || PQgetisnull(answer.get(), 0, 0) != 0) return std::string();
  return std::string(PQgetvalue(answer.get(), 0, 0), static_cast<std::size_t>(PQgetlength(answer.get(), 0, 0)));
}

Status Connection::run(const char* sql, std::string_view tag) {
  const Answer answer(PQexec(handle_.get(), sql));
  const auto status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return error_of(answer.get());
  // An aborted transaction is rolled back by COMMIT, which calls that done.
  if (!tag.empty() && std::string_view(PQcmdStatus(const_cast<PGresult*>(answer.get()))) != tag)
    return Error{ErrorCode::storage_unavailable, "postgresql: the server rolled the transaction back"};
  return {};
}

Error Connection::error_of(const pg_result* answer) {
  const char* state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
  const std::string_view code = state == nullptr ? "" : state;
  // The primary message alone: the detail of a constraint's failure repeats the values.
  const char* message = PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
  const std::string detail = "postgresql: " + trimmed(message == nullptr ? PQerrorMessage(handle_.get()) : message) + " (" +
                             (code.empty() ? "connection" : std::string(code)) + ")";
  if (code == "23505") return {ErrorCode::conflict, detail};
  if (code == "55P03") return {ErrorCode::busy, detail};
  if (code.starts_with("22") || code.starts_with("23") || code.starts_with("42")) return {ErrorCode::internal, detail};
  if (code.starts_with("54")) return {ErrorCode::too_large, detail};
  Error error{ErrorCode::storage_unavailable, detail};
  if (PQstatus(handle_.get()) != CONNECTION_OK || spoils_transaction(code)) failure_ = error;
  return error;
}

Result<const Connection::Statement*> Connection::prepare(std::string_view sql, Parameters parameters) {
  // A statement is typed by what it is first given; one that is given something else is another.
  std::string key(sql);
  for (const auto& parameter : parameters) key += static_cast<char>('\x01' + static_cast<char>(parameter.index()));
  if (const auto found = statements_.find(key); found != statements_.end()) return &found->second;
  if (statements_.size() >= max_kept_statements) {
    if (auto freed = run("DEALLOCATE ALL", "DEALLOCATE ALL"); !freed) return freed.error();
    statements_.clear();
  }
  Statement statement{"s" + std::to_string(statements_.size()), is_plain_insert(sql)};
  const Encoded encoded(parameters);
  const std::string text = translate(sql) + (statement.guarded ? " ON CONFLICT DO NOTHING" : "");
  const Answer answer(PQprepare(handle_.get(), statement.name.c_str(), text.c_str(), encoded.count(), encoded.types()));
  if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) return error_of(answer.get());
  return &statements_.emplace(std::move(key), std::move(statement)).first->second;
}

Result<Connection::Answer> Connection::run(const Statement& statement, Parameters parameters) {
  const Encoded encoded(parameters);
  Answer answer(PQexecPrepared(handle_.get(), statement.name.c_str(), encoded.count(), encoded.values(), encoded.lengths(),
                               encoded.formats(), binary));
  const auto status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) return error_of(answer.get());
  return answer;
}

Result<std::int64_t> Connection::execute(std::string_view sql, Parameters parameters) {
  auto statement = prepare(sql, parameters);
  if (!statement) return statement.error();
  auto answer = run(**statement, parameters);
  if (!answer) return answer.error();
  const std::int64_t changed = std::strtoll(PQcmdTuples(answer->get()), nullptr, 10);
  if ((*statement)->guarded && changed == 0) return Error{ErrorCode::conflict, "postgresql: a row like this one is there already"};
  return changed;
}

Status Connection::query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) {
  auto statement = prepare(sql, parameters);
  if (!statement) return statement.error();
  auto answer = run(**statement, parameters);
  if (!answer) return answer.error();
  AnswerRow row(answer->get());
  for (int at = 0; at < PQntuples(answer->get()); ++at) {
    row.go_to(at);
    const bool more = each(row);
    if (row.foreign_column() >= 0) {
      return Error{ErrorCode::storage_unavailable, "storage: column " + std::to_string(row.foreign_column()) +
                                                       " holds another type than the program wrote: " + std::string(sql)};
    }
    if (!more) return {};
  }
  return {};
}

Status Connection::begin() {
  // Each statement sees what was committed before it: a snapshot taken before the turn would be of before it.
  const std::string turn(refused_by("storage.postgresql-turn", !node_.empty()) ? take_turn : "");
  auto name = ask("BEGIN ISOLATION LEVEL READ COMMITTED; " + turn + "SELECT gen_random_uuid()::text");
  // Another node's turn lasts. This session stays, and with it the lock of the node's name.
  if (!name && name.error().code == ErrorCode::busy) {
    if (auto ended = roll_back(); !ended) return ended;
  }
  if (!name) return name.error();
  name_ = std::move(*name);
  return {};
}

Status Connection::begin_snapshot() { return run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN"); }
Status Connection::roll_back() { return run("ROLLBACK", "ROLLBACK"); }

Status Connection::commit() {
  const std::string sql = "UPDATE storage_commits SET name = '" + name_ + "' WHERE node = current_setting('intaglio.node'); COMMIT";
  bool warned = false;
  const auto warn = [](void* flag, const char*) { *static_cast<bool*>(flag) = true; };
  const auto silent = [](void*, const char*) {};
  PQsetNoticeProcessor(handle_.get(), warn, &warned);
  auto done = run(sql.c_str(), "COMMIT");
  PQsetNoticeProcessor(handle_.get(), silent, nullptr);
  // A wait for the standby that somebody cancelled: the server calls that done, with a warning.
  if (refused_by("storage.postgresql-warned", done && warned))
    return Error{ErrorCode::storage_unavailable, "postgresql: the server warned of its own commit"};
  if (done || PQstatus(handle_.get()) == CONNECTION_OK) return done;
  return settle(done.error());
}

/// The answer to COMMIT is lost. Who has the lock again is alone (with a name of this node), and the session of before has ended with its transaction: the last
/// commit either has the name that was given to this one, or it never was. A number of the server's would not do: after a crash or a
/// fail-over it may give the same number to another transaction. As long as nothing is known it is refused, and what is kept of it is
/// found at the next start.
Status Connection::settle(const Error& lost) {
  const auto end = std::chrono::steady_clock::now() + settle_patience;
  log::warn("storage.commit_in_doubt", {{"database", address_.name}, {"detail", lost.detail}});
  for (;;) {
    if (auto opened = open(address_, role_, node_, patience_)) {
      auto& fresh = static_cast<Connection&>(**opened);
      auto last = fresh.ask("SELECT name FROM storage_commits WHERE node = current_setting('intaglio.node')");
      if (last && *last != name_) return lost;
      // Whoever ended the session may have ended its wait for the standby: a commit after it waits for both.
      if (last && fresh.run("UPDATE storage_commits SET name = name WHERE node = current_setting('intaglio.node')", "UPDATE 1")) {
        handle_ = std::move(fresh.handle_);
        statements_.clear();
        failure_.reset();
        return {};
      }
    }
    if (std::chrono::steady_clock::now() >= end) return lost;
    std::this_thread::sleep_for(settle_pause);
  }
}

bool Connection::is_idle() const noexcept { return PQtransactionStatus(handle_.get()) == PQTRANS_IDLE; }
bool Connection::is_aborted() const noexcept { return PQtransactionStatus(handle_.get()) == PQTRANS_INERROR; }

}  // namespace intaglio::storage::postgres
