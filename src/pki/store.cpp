#include "pki/store.h"

#include "base/check.h"

namespace intaglio::pki {

namespace {

using storage::Row;

constexpr std::string_view certificate_columns =
    "serial, kind, profile, signer, key_id, operator, request_id, not_before, not_after, issued_at, spki_sha256, der";

IssuedCertificate read_certificate(const Row& row) {
  return {row.text(0),
          row.text(1),
          row.text(2),
          row.text(3),
          row.text(4),
          row.text(5),
          row.text(6),
          from_unix_seconds(row.integer(7)),
          from_unix_seconds(row.integer(8)),
          from_unix_seconds(row.integer(9)),
          row.is_null(10) ? Bytes{} : row.bytes(10),
          row.bytes(11)};
}

crypto::RevokedCertificate read_revocation(const Row& row) {
  return {row.text(0), from_unix_seconds(row.integer(1)), static_cast<crypto::RevocationReason>(row.integer(2))};
}

constexpr std::string_view list_columns = "number, this_update, next_update, der, change, delta";

StoredList read_list(const Row& row) {
  return {static_cast<std::uint64_t>(row.integer(0)),
          from_unix_seconds(row.integer(1)),
          from_unix_seconds(row.integer(2)),
          row.bytes(3),
          row.integer(4),
          row.is_null(5) ? Bytes{} : row.bytes(5)};
}

Status done(const Result<std::int64_t>& changed) {
  if (!changed) return changed.error();
  return {};
}

Result<std::vector<crypto::RevokedCertificate>> read_revocations(storage::Reader& reader, std::string_view sql,
                                                                 storage::Parameters parameters) {
  std::vector<crypto::RevokedCertificate> found;
  auto read = reader.query(sql, parameters, [&](const Row& row) {
    found.push_back(read_revocation(row));
    return true;
  });
  if (!read) return read.error();
  return found;
}

Status insert_change(storage::Transaction& transaction, const crypto::RevokedCertificate& change, std::string_view operator_id) {
  auto latest = latest_change(transaction);
  if (!latest) return latest.error();
  return done(transaction.execute(
      "INSERT INTO pki_status_change (number, serial, changed_at, reason, operator) VALUES (?1, ?2, ?3, ?4, ?5)",
      {*latest + 1, std::string_view(change.serial_hex), unix_seconds(change.at), static_cast<std::int64_t>(change.reason), operator_id}));
}

}  // namespace

const std::vector<storage::Migration>& migrations() {
  static const std::vector<storage::Migration> all = {
      {1, R"sql(
CREATE TABLE pki_certificate (
  serial TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  profile TEXT NOT NULL,
  signer TEXT NOT NULL,
  key_id TEXT NOT NULL,
  operator TEXT NOT NULL,
  request_id TEXT NOT NULL,
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  issued_at BIGINT NOT NULL,
  spki_sha256 BLOB UNIQUE,
  der BLOB NOT NULL
);
CREATE INDEX pki_certificate_kind ON pki_certificate (kind, not_after);
CREATE TABLE pki_revocation (
  serial TEXT PRIMARY KEY REFERENCES pki_certificate (serial),
  revoked_at BIGINT NOT NULL,
  reason BIGINT NOT NULL,
  operator TEXT NOT NULL
);
CREATE TABLE pki_revocation_list (
  number BIGINT PRIMARY KEY,
  this_update BIGINT NOT NULL,
  next_update BIGINT NOT NULL,
  der BLOB NOT NULL
);
CREATE TABLE pki_request (
  operator TEXT NOT NULL,
  request_id TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (operator, request_id)
);
CREATE INDEX pki_request_seen ON pki_request (seen_at);
)sql"},
      {2, R"sql(
CREATE TABLE pki_timestamp (
  serial TEXT PRIMARY KEY,
  generated_at BIGINT NOT NULL
);
)sql"},
      {3, "CREATE INDEX pki_timestamp_generated ON pki_timestamp (generated_at);"},
      {4, R"sql(
CREATE TABLE pki_status_change (
  number BIGINT PRIMARY KEY,
  serial TEXT NOT NULL REFERENCES pki_certificate (serial),
  changed_at BIGINT NOT NULL,
  reason BIGINT NOT NULL,
  operator TEXT NOT NULL
);
CREATE INDEX pki_status_change_serial ON pki_status_change (serial, number);
INSERT INTO pki_status_change (number, serial, changed_at, reason, operator)
  SELECT ROW_NUMBER() OVER (ORDER BY revoked_at, serial), serial, revoked_at, reason, operator FROM pki_revocation;
ALTER TABLE pki_revocation_list ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pki_revocation_list ADD COLUMN delta BLOB;
CREATE INDEX pki_revocation_list_ends ON pki_revocation_list (next_update);
)sql"},
  };
  return all;
}

Status insert_certificate(storage::Transaction& transaction, const IssuedCertificate& c) {
  // NULL stands outside UNIQUE: a responder's key is certified again at each renewal, no other ever.
  const storage::Parameter spki = c.kind == "responder" ? storage::Parameter(nullptr) : storage::Parameter(ByteView(c.spki_sha256));
  return done(transaction.execute(
      "INSERT INTO pki_certificate (serial, kind, profile, signer, key_id, operator, request_id, not_before, not_after, issued_at, "
      "spki_sha256, der) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
      {std::string_view(c.serial_hex), std::string_view(c.kind), std::string_view(c.profile), std::string_view(c.signer),
       std::string_view(c.key), std::string_view(c.operator_id), std::string_view(c.request_id), unix_seconds(c.not_before),
       unix_seconds(c.not_after), unix_seconds(c.issued_at), spki, ByteView(c.der)}));
}

Result<std::optional<IssuedCertificate>> find_certificate(storage::Reader& reader, std::string_view serial_hex) {
  static const std::string sql = "SELECT " + std::string(certificate_columns) + " FROM pki_certificate WHERE serial = ?1";
  return reader.query_one<IssuedCertificate>(sql, {serial_hex}, read_certificate);
}

Result<std::optional<IssuedCertificate>> find_certificate_of_key(storage::Reader& reader, ByteView spki_sha256) {
  static const std::string sql = "SELECT " + std::string(certificate_columns) + " FROM pki_certificate WHERE spki_sha256 = ?1";
  return reader.query_one<IssuedCertificate>(sql, {spki_sha256}, read_certificate);
}

Result<std::optional<IssuedCertificate>> latest_responder(storage::Reader& reader) {
  static const std::string sql =
      "SELECT " + std::string(certificate_columns) + " FROM pki_certificate WHERE kind = 'responder' ORDER BY not_after DESC LIMIT 1";
  return reader.query_one<IssuedCertificate>(sql, {}, read_certificate);
}

Result<StoredStatus> certificate_status(storage::Reader& reader, std::string_view serial_hex) {
  auto issued = reader.query_one<std::int64_t>("SELECT not_after FROM pki_certificate WHERE serial = ?1", {serial_hex},
                                               [](const Row& row) { return row.integer(0); });
  if (!issued) return issued.error();
  auto revoked = reader.query_one<crypto::RevokedCertificate>("SELECT serial, revoked_at, reason FROM pki_revocation WHERE serial = ?1",
                                                              {serial_hex}, read_revocation);
  if (!revoked) return revoked.error();
  return StoredStatus{issued->has_value(), from_unix_seconds(issued->value_or(0)), std::move(*revoked)};
}

Status insert_revocation(storage::Transaction& transaction, const crypto::RevokedCertificate& revocation, std::string_view operator_id) {
  const auto hold = static_cast<std::int64_t>(crypto::RevocationReason::certificate_hold);
  const auto reason = static_cast<std::int64_t>(revocation.reason);
  if (reason != hold) {
    auto held = transaction.execute("UPDATE pki_revocation SET reason = ?1, operator = ?2 WHERE serial = ?3 AND reason = ?4",
                                    {reason, operator_id, std::string_view(revocation.serial_hex), hold});
    if (!held) return held.error();
    if (*held == 1) return insert_change(transaction, revocation, operator_id);
  }
  auto inserted = transaction.execute("INSERT INTO pki_revocation (serial, revoked_at, reason, operator) VALUES (?1, ?2, ?3, ?4)",
                                      {std::string_view(revocation.serial_hex), unix_seconds(revocation.at), reason, operator_id});
  if (!inserted) return inserted.error();
  return insert_change(transaction, revocation, operator_id);
}

Status release_hold(storage::Transaction& transaction, std::string_view serial_hex, UnixTime at, std::string_view operator_id) {
  auto released = transaction.execute("DELETE FROM pki_revocation WHERE serial = ?1 AND reason = ?2",
                                      {serial_hex, static_cast<std::int64_t>(crypto::RevocationReason::certificate_hold)});
  if (!released) return released.error();
  if (refused_by("pki.release.hold", *released != 1)) return Error{ErrorCode::conflict, "the certificate is not on hold"};
  return insert_change(transaction, {std::string(serial_hex), at, crypto::RevocationReason::remove_from_crl}, operator_id);
}

Result<std::vector<crypto::RevokedCertificate>> revocations(storage::Reader& reader, UnixTime ended_before) {
  const std::string_view all = "SELECT serial, revoked_at, reason FROM pki_revocation ORDER BY revoked_at, serial";
  const std::string_view some =
      "SELECT r.serial, r.revoked_at, r.reason FROM pki_revocation r JOIN pki_certificate c ON c.serial = r.serial "
      "WHERE c.not_after >= ?1 OR r.revoked_at >= ?1 ORDER BY r.revoked_at, r.serial";
  if (ended_before == UnixTime{}) return read_revocations(reader, all, {});
  return read_revocations(reader, some, {unix_seconds(ended_before)});
}

Result<std::int64_t> latest_change(storage::Reader& reader) {
  auto latest = reader.query_one<std::int64_t>("SELECT number FROM pki_status_change ORDER BY number DESC LIMIT 1", {},
                                               [](const Row& row) { return row.integer(0); });
  if (!latest) return latest.error();
  return latest->value_or(0);
}

Result<std::vector<crypto::RevokedCertificate>> changes_after(storage::Reader& reader, std::int64_t change) {
  // The last change of each certificate says where it stands; the moment of a revocation is that of its row, as a complete list has it.
  return read_revocations(reader,
                          "SELECT c.serial, COALESCE(r.revoked_at, c.changed_at), c.reason FROM pki_status_change c "
                          "LEFT JOIN pki_revocation r ON r.serial = c.serial WHERE c.number > ?1 AND NOT EXISTS "
                          "(SELECT 1 FROM pki_status_change n WHERE n.serial = c.serial AND n.number > c.number) ORDER BY c.number",
                          {change});
}

Status insert_list(storage::Transaction& transaction, const StoredList& list) {
  const storage::Parameter delta = list.delta.empty() ? storage::Parameter(nullptr) : storage::Parameter(ByteView(list.delta));
  return done(transaction.execute(
      "INSERT INTO pki_revocation_list (number, this_update, next_update, der, change, delta) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
      {static_cast<std::int64_t>(list.number), unix_seconds(list.this_update), unix_seconds(list.next_update), ByteView(list.der),
       list.change, delta}));
}

Result<std::optional<StoredList>> latest_list(storage::Reader& reader) {
  static const std::string sql = "SELECT " + std::string(list_columns) + " FROM pki_revocation_list ORDER BY number DESC LIMIT 1";
  return reader.query_one<StoredList>(sql, {}, read_list);
}

Result<std::optional<StoredList>> oldest_list_in_force(storage::Reader& reader, UnixTime at) {
  static const std::string sql =
      "SELECT " + std::string(list_columns) + " FROM pki_revocation_list WHERE next_update > ?1 ORDER BY number LIMIT 1";
  return reader.query_one<StoredList>(sql, {unix_seconds(at)}, read_list);
}

Status forget_lists(storage::Transaction& transaction, UnixTime ended_before) {
  return done(transaction.execute(
      "DELETE FROM pki_revocation_list WHERE next_update < ?1 AND number < (SELECT MAX(number) FROM pki_revocation_list)",
      {unix_seconds(ended_before)}));
}

Result<std::vector<std::string>> serials_in_force(storage::Reader& reader, std::string_view after, UnixTime at, std::int64_t limit) {
  std::vector<std::string> serials;
  auto read = reader.query("SELECT serial FROM pki_certificate WHERE serial > ?1 AND not_after > ?2 ORDER BY serial LIMIT ?3",
                           {after, unix_seconds(at), limit}, [&](const Row& row) {
                             serials.push_back(row.text(0));
                             return true;
                           });
  if (!read) return read.error();
  return serials;
}

Status insert_timestamp(storage::Transaction& transaction, std::string_view serial_hex, UnixTime generated_at) {
  return done(
      transaction.execute("INSERT INTO pki_timestamp (serial, generated_at) VALUES (?1, ?2)", {serial_hex, unix_seconds(generated_at)}));
}

Result<std::optional<UnixTime>> latest_timestamp(storage::Reader& reader) {
  return reader.query_one<UnixTime>("SELECT generated_at FROM pki_timestamp ORDER BY generated_at DESC LIMIT 1", {},
                                    [](const Row& row) { return from_unix_seconds(row.integer(0)); });
}

Status use_request_id(storage::Transaction& transaction, std::string_view operator_id, std::string_view request_id, UnixTime at) {
  auto changed = transaction.execute("INSERT INTO pki_request (operator, request_id, seen_at) VALUES (?1, ?2, ?3)",
                                     {operator_id, request_id, unix_seconds(at)});
  if (!changed && changed.error().code == ErrorCode::conflict) return Error{ErrorCode::replayed, "the request id was used before"};
  return done(changed);
}

Status forget_request_ids(storage::Transaction& transaction, UnixTime before) {
  return done(transaction.execute("DELETE FROM pki_request WHERE seen_at < ?1", {unix_seconds(before)}));
}

}  // namespace intaglio::pki
