#include "ssa/transactions.h"

namespace intaglio::ssa {
namespace {

/// A ticket lives 5 minutes and a SAD no longer than that beyond it: after an hour nothing can refer to the row.
constexpr std::chrono::hours kept_for{1};

struct StoredRow {
  std::string client;
  Bytes encoded;
  std::string state;
};

Result<KeptTransaction> read_row(const std::optional<StoredRow>& row) {
  if (!row) return Error{ErrorCode::not_found, "no transaction of this service"};
  auto content = protocol::parse_transaction(row->encoded);
  if (!content) return Error{ErrorCode::internal, "a kept transaction does not parse: " + content.error().detail};
  return KeptTransaction{row->client, std::move(*content), row->state == "open" ? TransactionState::open : TransactionState::answered};
}

StoredRow stored_row(const storage::Row& row) { return {row.text(0), row.bytes(1), row.text(2)}; }

}  // namespace

const std::vector<storage::Migration>& migrations() {
  static const std::vector<storage::Migration> series{{1, R"sql(
CREATE TABLE ssa_transactions (
  nonce BLOB PRIMARY KEY,
  client TEXT NOT NULL,
  encoded BLOB NOT NULL,
  state TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX ssa_transactions_by_end ON ssa_transactions (expires);
CREATE TABLE ssa_sads (
  jti TEXT PRIMARY KEY,
  nonce BLOB NOT NULL REFERENCES ssa_transactions (nonce) ON DELETE CASCADE,
  expires INTEGER NOT NULL
);
CREATE INDEX ssa_sads_by_transaction ON ssa_sads (nonce);
)sql"},
                                                      {2, R"sql(
CREATE TABLE ssa_device_approvals (
  handle BLOB PRIMARY KEY,
  client TEXT NOT NULL,
  state TEXT NOT NULL,
  public_key BLOB NOT NULL,
  private_key BLOB NOT NULL,
  sad TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX ssa_device_approvals_by_end ON ssa_device_approvals (expires);
CREATE TABLE ssa_kept_answers (
  id BLOB PRIMARY KEY,
  client TEXT NOT NULL,
  signer TEXT NOT NULL,
  answer BLOB NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX ssa_kept_answers_by_end ON ssa_kept_answers (expires);
)sql"},
                                                      {3, R"sql(
CREATE TABLE ssa_identity_logins (
  approval BLOB PRIMARY KEY,
  handle BLOB NOT NULL,
  state BLOB NOT NULL,
  nonce TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX ssa_identity_logins_by_end ON ssa_identity_logins (expires);
)sql"},
                                                      {4, R"sql(
CREATE TABLE ssa_device_sessions (
  bearer BLOB PRIMARY KEY,
  signer TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX ssa_device_sessions_by_end ON ssa_device_sessions (expires);
)sql"}};
  return series;
}

Transactions::Transactions(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

Result<protocol::Transaction> Transactions::keep(ByteView encoded, std::string_view client) {
  auto content = protocol::parse_transaction(encoded);
  if (!content) return Error{ErrorCode::internal, "the SAM's transaction does not parse: " + content.error().detail};
  const auto now = unix_seconds(clock_->now());
  const auto written = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM ssa_transactions WHERE expires < ?1",
                                      {now - std::chrono::duration_cast<std::chrono::seconds>(kept_for).count()});
    if (!purged) return purged.error();
    auto inserted =
        transaction.execute("INSERT INTO ssa_transactions (nonce, client, encoded, state, expires) VALUES (?1, ?2, ?3, 'open', ?4)",
                            {ByteView(content->nonce), client, encoded, unix_seconds(content->expires)});
    return inserted ? Status{} : inserted.error();
  });
  if (!written) return written.error();
  return std::move(*content);
}

Result<KeptTransaction> Transactions::find(ByteView nonce) {
  std::optional<StoredRow> row;
  const auto done = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<StoredRow>("SELECT client, encoded, state FROM ssa_transactions WHERE nonce = ?1", {nonce}, stored_row);
    if (!found) return found.error();
    row = std::move(*found);
    return {};
  });
  if (!done) return done.error();
  return read_row(row);
}

Status Transactions::answered(ByteView nonce, const std::optional<IssuedSad>& sad) {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto updated = transaction.execute("UPDATE ssa_transactions SET state = 'answered' WHERE nonce = ?1", {nonce});
    if (!updated) return updated.error();
    if (!sad) return {};
    auto inserted = transaction.execute("INSERT INTO ssa_sads (jti, nonce, expires) VALUES (?1, ?2, ?3)",
                                        {std::string_view(sad->jti), ByteView(sad->nonce), unix_seconds(sad->expires)});
    return inserted ? Status{} : inserted.error();
  });
}

Result<KeptTransaction> Transactions::find_by_sad(std::string_view jti) {
  std::optional<StoredRow> row;
  const auto done = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<StoredRow>(
        "SELECT t.client, t.encoded, t.state FROM ssa_sads s JOIN ssa_transactions t ON t.nonce = s.nonce WHERE s.jti = ?1", {jti},
        stored_row);
    if (!found) return found.error();
    row = std::move(*found);
    return {};
  });
  if (!done) return done.error();
  return read_row(row);
}

}  // namespace intaglio::ssa
