#include "registration/unsettled_certificates.h"

#include "registration/certificate_list.h"

namespace intaglio::registration {
namespace {

struct StoredRow {
  Bytes certificates;
  std::int64_t taken, implicit;
  Bytes confirmation;
};

}  // namespace

Status UnsettledCertificates::keep(const KeyId& key, const crypto::CmpIssued& issued) {
  const auto encoded = encode_certificates(issued.certificates);
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto kept = transaction.execute(
        "INSERT INTO registration_unsettled_certificates (credential, certificates, taken, implicit, confirmation) VALUES (?1, ?2, ?3, ?4, "
        "?5) ON CONFLICT (credential) DO UPDATE SET certificates = ?2, taken = ?3, implicit = ?4, confirmation = ?5",
        {std::string_view(key.text()), ByteView(encoded), std::int64_t{issued.taken}, std::int64_t{issued.implicit},
         ByteView(issued.confirmation)});
    return kept ? Status{} : kept.error();
  });
}

Result<std::optional<crypto::CmpIssued>> UnsettledCertificates::find(const KeyId& key) {
  std::optional<StoredRow> row;
  const auto done = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<StoredRow>(
        "SELECT certificates, taken, implicit, confirmation FROM registration_unsettled_certificates WHERE credential = ?1",
        {std::string_view(key.text())}, [](const storage::Row& columns) {
          return StoredRow{columns.bytes(0), columns.integer(1), columns.integer(2), columns.bytes(3)};
        });
    if (!found) return found.error();
    row = std::move(*found);
    return {};
  });
  if (!done) return done.error();
  if (!row) return std::optional<crypto::CmpIssued>();
  auto certificates = parse_certificates(row->certificates);
  if (!certificates || certificates->empty()) return Error{ErrorCode::internal, "kept certificates do not parse"};
  return std::optional(crypto::CmpIssued{.certificates = std::move(*certificates),
                                         .taken = row->taken == 1,
                                         .implicit = row->implicit == 1,
                                         .confirmation = std::move(row->confirmation)});
}

Result<std::vector<KeyId>> UnsettledCertificates::keys(const std::string& after, std::size_t limit) {
  std::vector<KeyId> keys;
  const auto done = database_->read([&](storage::Reader& reader) {
    return reader.query("SELECT credential FROM registration_unsettled_certificates WHERE credential > ?1 ORDER BY credential LIMIT ?2",
                        {std::string_view(after), static_cast<std::int64_t>(limit)}, [&](const storage::Row& columns) {
                          if (auto key = KeyId::parse(columns.text(0))) keys.push_back(std::move(*key));
                          return true;
                        });
  });
  if (!done) return done.error();
  return keys;
}

Status UnsettledCertificates::forget(const KeyId& key) {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto removed =
        transaction.execute("DELETE FROM registration_unsettled_certificates WHERE credential = ?1", {std::string_view(key.text())});
    return removed ? Status{} : removed.error();
  });
}

}  // namespace intaglio::registration
