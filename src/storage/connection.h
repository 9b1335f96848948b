#pragma once

#include "storage/database.h"

namespace intaglio::storage {

/// One connection with its prepared statements, of whatever database. One thread at a time.
class Connection {
 public:
  Connection() = default;
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] virtual Result<std::int64_t> execute(std::string_view sql, Parameters parameters) = 0;
  virtual Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) = 0;

  /// Begins a transaction that writes.
  [[nodiscard]] virtual Status begin() = 0;
  /// Begins one that reads a single snapshot and writes nothing.
  [[nodiscard]] virtual Status begin_snapshot() = 0;
  /// Success: what was done since begin() is durable.
  [[nodiscard]] virtual Status commit() = 0;
  [[nodiscard]] virtual Status roll_back() = 0;

  /// True outside a transaction; also after the database itself rolled one back.
  [[nodiscard]] virtual bool is_idle() const noexcept = 0;
  /// Within a transaction that takes no further statement, because one failed, until it is rolled back as far as a savepoint.
  [[nodiscard]] virtual bool is_aborted() const noexcept = 0;
  /// Whether a statement failed since clear_failure() in a way that makes the whole transaction worthless: disk full, I/O error,
  /// read-only, damaged, connection lost. The detail is the failure's.
  [[nodiscard]] virtual const std::optional<Error>& failure() const noexcept = 0;
  virtual void clear_failure() noexcept = 0;

  /// Whether something is left to do between two transactions, and doing it.
  [[nodiscard]] virtual bool upkeep_due() = 0;
  virtual void upkeep() = 0;
};

using Connect = std::function<Result<std::unique_ptr<Connection>>()>;

}  // namespace intaglio::storage
