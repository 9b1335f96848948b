#include "registration/key_requests.h"

#include "registration/certificate_list.h"

namespace intaglio::registration {
namespace {

struct StoredRow {
  std::string signer;
  Bytes csr;
  std::string assertion;
  Bytes certificates;
};

}  // namespace

const std::vector<storage::Migration>& migrations() {
  static const std::vector<storage::Migration> series{{1, R"sql(
CREATE TABLE registration_key_requests (
  credential TEXT PRIMARY KEY,
  signer TEXT NOT NULL,
  csr BLOB NOT NULL,
  key_assertion TEXT NOT NULL,
  certificates BLOB NOT NULL,
  created INTEGER NOT NULL
);
)sql"},
                                                      {2, R"sql(
CREATE TABLE registration_operator_requests (
  operator TEXT NOT NULL,
  rid TEXT NOT NULL,
  seen INTEGER NOT NULL,
  PRIMARY KEY (operator, rid)
);
)sql"},
                                                      {3, R"sql(
CREATE TABLE registration_enrolments (
  signer TEXT NOT NULL,
  credential TEXT NOT NULL,
  state TEXT NOT NULL,
  since INTEGER NOT NULL,
  enrolled_by TEXT NOT NULL,
  level TEXT NOT NULL,
  PRIMARY KEY (signer, credential)
);
CREATE INDEX registration_enrolments_by_key ON registration_enrolments (credential);
CREATE INDEX registration_enrolments_by_state ON registration_enrolments (state, signer, credential);
CREATE TABLE registration_revocation_codes (
  selector TEXT PRIMARY KEY,
  signer TEXT NOT NULL UNIQUE,
  salt BLOB NOT NULL,
  digest BLOB NOT NULL,
  tries_left INTEGER NOT NULL,
  created INTEGER NOT NULL
);
)sql"},
                                                      {4, R"sql(
ALTER TABLE registration_enrolments ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;
)sql"},
                                                      {5, R"sql(
CREATE TABLE registration_unsettled_certificates (
  credential TEXT PRIMARY KEY,
  certificates BLOB NOT NULL,
  taken INTEGER NOT NULL,
  implicit INTEGER NOT NULL,
  confirmation BLOB NOT NULL
);
)sql"},
                                                      {6, R"sql(
CREATE TABLE registration_jobs (
  name TEXT PRIMARY KEY,
  ran INTEGER NOT NULL,
  found INTEGER NOT NULL
);
)sql"}};
  return series;
}

KeyRequests::KeyRequests(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

Status KeyRequests::keep(const protocol::KeyGenerated& generated, const SignerId& signer) {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto inserted = transaction.execute(
        "INSERT INTO registration_key_requests (credential, signer, csr, key_assertion, certificates, created) VALUES (?1, ?2, ?3, ?4, ?5, "
        "?6)",
        {std::string_view(generated.key.text()), std::string_view(signer.text()), ByteView(generated.csr),
         std::string_view(generated.key_assertion), ByteView{}, unix_seconds(clock_->now())});
    return inserted ? Status{} : inserted.error();
  });
}

Result<KeyRequest> KeyRequests::find(const KeyId& key) {
  std::optional<StoredRow> row;
  const auto done = database_->read([&](storage::Reader& reader) -> Status {
    auto found =
        reader.query_one<StoredRow>("SELECT signer, csr, key_assertion, certificates FROM registration_key_requests WHERE credential = ?1",
                                    {std::string_view(key.text())}, [](const storage::Row& columns) {
                                      return StoredRow{columns.text(0), columns.bytes(1), columns.text(2), columns.bytes(3)};
                                    });
    if (!found) return found.error();
    row = std::move(*found);
    return {};
  });
  if (!done) return done.error();
  if (!row) return Error{ErrorCode::not_found, "no pending request of this credential"};
  auto signer = SignerId::parse(row->signer);
  if (!signer) return Error{ErrorCode::internal, "a pending request names no signer"};
  auto certificates = parse_certificates(row->certificates);
  if (!certificates) return Error{ErrorCode::internal, "kept certificates do not parse"};
  return KeyRequest{key, std::move(*signer), std::move(row->csr), std::move(row->assertion), std::move(*certificates)};
}

Status KeyRequests::issued(const KeyId& key, const std::vector<Bytes>& certificates) {
  const auto encoded = encode_certificates(certificates);
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto updated = transaction.execute("UPDATE registration_key_requests SET certificates = ?2 WHERE credential = ?1",
                                       {std::string_view(key.text()), ByteView(encoded)});
    if (!updated) return updated.error();
    if (*updated != 1) return Error{ErrorCode::not_found, "no pending request of this credential"};
    auto settled =
        transaction.execute("DELETE FROM registration_unsettled_certificates WHERE credential = ?1", {std::string_view(key.text())});
    return settled ? Status{} : settled.error();
  });
}

}  // namespace intaglio::registration
