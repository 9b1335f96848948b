#include "pki/store.h"

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

Status done(const Result<std::int64_t>& changed) {
  if (!changed) return changed.error();
  return {};
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
  auto issued = reader.query_one<std::int64_t>("SELECT 1 FROM pki_certificate WHERE serial = ?1", {serial_hex},
                                               [](const Row& row) { return row.integer(0); });
  if (!issued) return issued.error();
  auto revoked = reader.query_one<crypto::RevokedCertificate>("SELECT serial, revoked_at, reason FROM pki_revocation WHERE serial = ?1",
                                                              {serial_hex}, read_revocation);
  if (!revoked) return revoked.error();
  return StoredStatus{issued->has_value(), std::move(*revoked)};
}

Status insert_revocation(storage::Transaction& transaction, const crypto::RevokedCertificate& revocation, std::string_view operator_id) {
  return done(transaction.execute(
      "INSERT INTO pki_revocation (serial, revoked_at, reason, operator) VALUES (?1, ?2, ?3, ?4)",
      {std::string_view(revocation.serial_hex), unix_seconds(revocation.at), static_cast<std::int64_t>(revocation.reason), operator_id}));
}

Result<std::vector<crypto::RevokedCertificate>> all_revocations(storage::Reader& reader) {
  std::vector<crypto::RevokedCertificate> all;
  auto read = reader.query("SELECT serial, revoked_at, reason FROM pki_revocation ORDER BY revoked_at, serial", {}, [&](const Row& row) {
    all.push_back(read_revocation(row));
    return true;
  });
  if (!read) return read.error();
  return all;
}

Status insert_list(storage::Transaction& transaction, const StoredList& list) {
  return done(transaction.execute(
      "INSERT INTO pki_revocation_list (number, this_update, next_update, der) VALUES (?1, ?2, ?3, ?4)",
      {static_cast<std::int64_t>(list.number), unix_seconds(list.this_update), unix_seconds(list.next_update), ByteView(list.der)}));
}

Result<std::optional<StoredList>> latest_list(storage::Reader& reader) {
  return reader.query_one<StoredList>("SELECT number, this_update, next_update, der FROM pki_revocation_list ORDER BY number DESC LIMIT 1",
                                      {}, [](const Row& row) {
                                        return StoredList{static_cast<std::uint64_t>(row.integer(0)), from_unix_seconds(row.integer(1)),
                                                          from_unix_seconds(row.integer(2)), row.bytes(3)};
                                      });
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
