#pragma once

#include <chrono>
#include <map>

#include "storage/connection.h"

struct pg_conn;
struct pg_result;

namespace intaglio::storage::postgres {

/// What a connection is for. The owner has an advisory lock for as long as its session lives: of the database, so that nobody else
/// writes meanwhile, or of its node; a session that the server has ended owns nothing any more.
enum class Role { owner, reader };

/// One libpq connection with its prepared statements.
class Connection final : public storage::Connection {
 public:
  /// Refused: `configuration` for a server that may lose what it has acknowledged (fsync off, no synchronous standby where one is
  /// asked for, too old); `conflict` when another owner has the lock; `storage_unavailable` when it is not reached.
  /// `node`: see storage/node.h; empty for the only owner. Each session names it as the setting `intaglio.node`.
  /// `patience`: how long a statement waits for a lock, and `begin` for the turn; `busy` then.
  [[nodiscard]] static Result<std::unique_ptr<storage::Connection>> open(const PostgresqlAddress& address, Role role, std::string_view node,
                                                                         std::chrono::milliseconds patience);
  ~Connection() override;

  /// `conflict` from an INSERT of VALUES leaves the transaction as it was; any other failure aborts it as far as a savepoint.
  [[nodiscard]] Result<std::int64_t> execute(std::string_view sql, Parameters parameters) override;
  /// All rows are fetched before the first is shown.
  Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) override;
  [[nodiscard]] Status begin() override;
  [[nodiscard]] Status begin_snapshot() override;
  /// Each commit leaves a name of its own. When the connection is lost before the answer, another session looks whether it is there.
  [[nodiscard]] Status commit() override;
  [[nodiscard]] Status roll_back() override;
  [[nodiscard]] bool is_idle() const noexcept override;
  [[nodiscard]] bool is_aborted() const noexcept override;
  [[nodiscard]] const std::optional<Error>& failure() const noexcept override { return failure_; }
  void clear_failure() noexcept override { failure_.reset(); }
  [[nodiscard]] bool upkeep_due() override { return false; }
  void upkeep() override {}

 private:
  struct Statement {
    std::string name;
    bool guarded;  ///< inserts nothing instead of failing
  };
  struct Closer {
    void operator()(pg_conn* connection) const noexcept;
    void operator()(pg_result* result) const noexcept;
  };
  using Handle = std::unique_ptr<pg_conn, Closer>;
  using Answer = std::unique_ptr<pg_result, Closer>;

  Connection(const PostgresqlAddress& address, Role role, std::string_view node, std::chrono::milliseconds patience, Handle handle)
      : address_(address), role_(role), node_(node), patience_(patience), handle_(std::move(handle)) {}
  [[nodiscard]] static Result<Handle> connect(const PostgresqlAddress& address);
  [[nodiscard]] Status set_up();
  [[nodiscard]] Status name_node();
  [[nodiscard]] Status own();
  [[nodiscard]] Status check_durability();
  [[nodiscard]] Result<std::string> ask(const std::string& sql);
  /// One or several statements without parameters; `tag`: what the server calls the last one when it is done.
  [[nodiscard]] Status run(const char* sql, std::string_view tag);
  [[nodiscard]] Result<const Statement*> prepare(std::string_view sql, Parameters parameters);
  [[nodiscard]] Result<Answer> run(const Statement& statement, Parameters parameters);
  [[nodiscard]] Status settle(const Error& lost);
  [[nodiscard]] Error error_of(const pg_result* answer);

  const PostgresqlAddress address_;
  const Role role_;
  const std::string node_;
  const std::chrono::milliseconds patience_;
  Handle handle_;
  std::optional<Error> failure_;
  std::string name_;  ///< of the commit that is to come: a random UUID
  std::map<std::string, Statement, std::less<>> statements_;
};

}  // namespace intaglio::storage::postgres
