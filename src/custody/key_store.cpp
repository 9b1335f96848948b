#include "custody/key_store.h"

#include <map>
#include <mutex>

#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"

namespace intaglio::custody {
namespace {

constexpr std::string_view table = "keys";
constexpr std::size_t max_certificate = 64 * 1024;
constexpr std::size_t max_opened_rows = 1024, max_opened_size = 16 * 1024;

Bytes encode(const KeyRecord& record) {
  Bytes out;
  append_field(out, std::string_view("key/2"));
  append_field(out, record.id.text());
  append_field(out, record.owner.text());
  append_field(out, record.holder);
  append_field(out, std::uint64_t{static_cast<std::uint8_t>(record.state)});
  append_field(out, std::uint64_t{static_cast<std::uint8_t>(record.algorithm)});
  append_field(out, record.spki);
  append_field(out, record.profile);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(record.created)));
  append_field(out, std::uint64_t{record.revoked});
  append_field(out, record.suspended_because);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(record.inactive_until)));
  append_field(out, std::uint64_t{record.certificates.size()});
  for (const auto& certificate : record.certificates) append_field(out, certificate);
  return out;
}

Result<KeyState> parse_state(std::uint64_t number) {
  if (number < 1 || number > 5) return Error{ErrorCode::storage_unavailable, "a key record has an unknown state"};
  return static_cast<KeyState>(number);
}

Result<crypto::KeyAlgorithm> parse_algorithm(std::uint64_t number) {
  if (number < 1 || number > 6) return Error{ErrorCode::storage_unavailable, "a key record has an unknown algorithm"};
  return static_cast<crypto::KeyAlgorithm>(number);
}

Result<KeyRecord> parse(ByteView encoded) {
  FieldReader in(encoded);
  const Error malformed{ErrorCode::storage_unavailable, "a key record is malformed"};
  const auto version = in.text(16);
  // Records of before keys could be inactive have no date.
  if (!version || (*version != "key/2" && *version != "key/1")) return malformed;
  const auto id_text = in.text(64);
  const auto owner_text = in.text(64);
  auto holder = in.bytes(16);
  const auto state_number = in.number();
  const auto algorithm_number = in.number();
  auto spki = in.bytes(4096);
  auto profile = in.text(64);
  const auto created = in.number();
  const auto revoked = in.number();
  auto suspended_because = in.text(1024);
  const auto inactive_until = *version == "key/2" ? in.number() : Result<std::uint64_t>(0);
  const auto count = in.number();
  if (!id_text || !owner_text || !holder || !state_number || !algorithm_number || !spki || !profile || !created || !revoked ||
      !suspended_because || !inactive_until || !count)
    return malformed;
  auto id = KeyId::parse(*id_text);
  auto owner = SignerId::parse(*owner_text);
  auto state = parse_state(*state_number);
  auto algorithm = parse_algorithm(*algorithm_number);
  if (!id || !owner || !state || !algorithm || *count > 8 || *revoked > 1) return malformed;
  std::vector<Bytes> certificates;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto certificate = in.bytes(max_certificate);
    if (!certificate) return malformed;
    certificates.push_back(std::move(*certificate));
  }
  if (!in.end()) return malformed;
  return KeyRecord{.id = std::move(*id),
                   .owner = std::move(*owner),
                   .holder = std::move(*holder),
                   .state = *state,
                   .algorithm = *algorithm,
                   .spki = std::move(*spki),
                   .profile = std::move(*profile),
                   .created = from_unix_seconds(static_cast<std::int64_t>(*created)),
                   .certificates = std::move(certificates),
                   .revoked = *revoked == 1,
                   .suspended_because = std::move(*suspended_because),
                   .inactive_until = from_unix_seconds(static_cast<std::int64_t>(*inactive_until))};
}

Bytes certificate_key(ByteView issuer_der, std::string_view serial_hex) {
  Bytes key;
  append_field(key, issuer_der);
  append_field(key, serial_hex);
  return key;
}

struct RawRow {
  std::string id;
  std::uint64_t version;
  Bytes sealed;
};
RawRow raw(const storage::Row& row) { return {row.text(0), static_cast<std::uint64_t>(row.integer(1)), row.bytes(2)}; }

}  // namespace

/// Rows that this process opened. The same id, version and sealed octets were authenticated then, and opening them again gives the
/// same record, in which nothing is secret; a row that differs in one octet is opened. Which row is the latest is asked elsewhere.
class KeyStore::OpenedRows {
 public:
  [[nodiscard]] std::optional<KeyRecord> find(const std::string& id, std::uint64_t version, ByteView sealed) const {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(id);
    if (found == rows_.end()) return std::nullopt;
    const auto& row = found->second;
    const bool same = row.version == version && std::equal(row.sealed.begin(), row.sealed.end(), sealed.begin(), sealed.end());
    return same ? std::optional(row.record) : std::nullopt;
  }
  void keep(const std::string& id, std::uint64_t version, ByteView sealed, const KeyRecord& record) {
    if (sealed.size() > max_opened_size) return;
    const std::lock_guard lock(mutex_);
    if (rows_.size() >= max_opened_rows) rows_.clear();
    rows_.insert_or_assign(id, Row{version, to_bytes(sealed), record});
  }

 private:
  struct Row {
    std::uint64_t version;
    Bytes sealed;
    KeyRecord record;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Row> rows_;
};

KeyStore::KeyStore(std::shared_ptr<const sealed::Sealer> sealer)
    : sealer_(std::move(sealer)), opened_rows_(std::make_shared<OpenedRows>()) {}

const std::vector<storage::Migration>& KeyStore::migrations() {
  static const std::vector<storage::Migration> list = {{1, R"(CREATE TABLE keys (
               id TEXT PRIMARY KEY,
               owner BLOB NOT NULL,
               public_key BLOB NOT NULL UNIQUE,
               certificate BLOB UNIQUE,
               version INTEGER NOT NULL,
               record BLOB NOT NULL);
             CREATE INDEX keys_of_owner ON keys (owner);)"}};
  return list;
}

Result<StoredKey> KeyStore::opened(const std::string& id, std::uint64_t version, ByteView sealed) const {
  if (auto known = opened_rows_->find(id, version, sealed)) return StoredKey{version, *std::move(known)};
  auto content = sealer_->open_record(table, as_bytes(id), version, sealed);
  if (!content) return content.error();
  auto record = parse(content->reveal());
  if (!record) return record.error();
  if (record->id.text() != id) return Error{ErrorCode::storage_unavailable, "a key record names another key"};
  opened_rows_->keep(id, version, sealed, *record);
  return StoredKey{version, std::move(*record)};
}

Result<std::optional<StoredKey>> KeyStore::find_in_snapshot(storage::Reader& reader, const KeyId& key) const {
  auto row = reader.query_one<RawRow>("SELECT id, version, record FROM keys WHERE id = ?1", {std::string_view(key.text())}, raw);
  if (!row) return row.error();
  if (!*row) return std::optional<StoredKey>();
  auto stored = opened((*row)->id, (*row)->version, (*row)->sealed);
  if (!stored) return stored.error();
  return std::optional<StoredKey>(std::move(*stored));
}

Result<std::optional<StoredKey>> KeyStore::find(storage::Transaction& transaction, const KeyId& key) const {
  auto found = find_in_snapshot(transaction, key);
  if (!found) return found;
  if (auto checked = sealer_->versions().meet(transaction, table, as_bytes(key.text()), *found ? (*found)->version : 0); !checked)
    return checked.error();
  return found;
}

Result<std::vector<StoredKey>> KeyStore::of_owner(storage::Reader& reader, const SignerId& owner) const {
  const auto index = sealer_->blind_index(table, "owner", as_bytes(owner.text()));
  std::vector<RawRow> rows;
  auto done =
      reader.query("SELECT id, version, record FROM keys WHERE owner = ?1 ORDER BY id", {ByteView(index)}, [&](const storage::Row& row) {
        rows.push_back(raw(row));
        return true;
      });
  if (!done) return done.error();
  std::vector<StoredKey> keys;
  for (const auto& row : rows) {
    auto stored = opened(row.id, row.version, row.sealed);
    if (!stored) return stored.error();
    // The index is only a hint of the database: the sealed record says whose key it is.
    if (stored->record.owner == owner) keys.push_back(std::move(*stored));
  }
  return keys;
}

Result<std::optional<StoredKey>> KeyStore::with_certificate(storage::Reader& reader, ByteView issuer_der,
                                                            std::string_view serial_hex) const {
  const auto index = sealer_->blind_index(table, "certificate", certificate_key(issuer_der, serial_hex));
  auto row = reader.query_one<RawRow>("SELECT id, version, record FROM keys WHERE certificate = ?1", {ByteView(index)}, raw);
  if (!row) return row.error();
  if (!*row) return std::optional<StoredKey>();
  auto stored = opened((*row)->id, (*row)->version, (*row)->sealed);
  if (!stored) return stored.error();
  // The index is only a hint of the database: the sealed record says whose certificate it is.
  if (refused_by("custody.certificate-index", certificate_index(stored->record) != index)) return std::optional<StoredKey>();
  return std::optional<StoredKey>(std::move(*stored));
}

Bytes KeyStore::certificate_index(const KeyRecord& record) const {
  // To open a record costs fifty times as much as to find none, and most of a long list is of keys that ended with an earlier one.
  const bool over = record.revoked && (record.state == KeyState::destroyed || record.state == KeyState::inactive);
  if (record.certificates.empty() || over) return {};
  auto leaf = crypto::Certificate::parse_der(record.certificates.front());
  if (!leaf) return {};
  return sealer_->blind_index(table, "certificate", certificate_key(leaf->issuer_der(), leaf->serial_hex()));
}

Status KeyStore::insert(storage::Transaction& transaction, const KeyRecord& record) const {
  auto sealed = sealer_->seal(table, as_bytes(record.id.text()), 1, encode(record));
  if (!sealed) return sealed.error();
  const auto owner = sealer_->blind_index(table, "owner", as_bytes(record.owner.text()));
  const auto public_key = crypto::sha256(record.spki);
  auto changed =
      transaction.execute("INSERT INTO keys (id, owner, public_key, certificate, version, record) VALUES (?1, ?2, ?3, NULL, 1, ?4)",
                          {std::string_view(record.id.text()), ByteView(owner), ByteView(public_key), ByteView(*sealed)});
  if (!changed) return changed.error();
  sealer_->versions().note(transaction, table, as_bytes(record.id.text()), 1);
  return {};
}

Status KeyStore::update(storage::Transaction& transaction, const StoredKey& changed_key) const {
  const auto& record = changed_key.record;
  // Else an earlier row, updated often enough, would overtake the version that is remembered.
  if (auto latest = sealer_->versions().check(table, as_bytes(record.id.text()), changed_key.version); !latest) return latest;
  auto sealed = sealer_->seal(table, as_bytes(record.id.text()), changed_key.version + 1, encode(record));
  if (!sealed) return sealed.error();
  const auto index = certificate_index(record);
  const storage::Parameter certificate = index.empty() ? storage::Parameter(nullptr) : storage::Parameter(ByteView(index));
  auto changed = transaction.execute("UPDATE keys SET version = ?3, record = ?4, certificate = ?5 WHERE id = ?1 AND version = ?2",
                                     {std::string_view(record.id.text()), static_cast<std::int64_t>(changed_key.version),
                                      static_cast<std::int64_t>(changed_key.version + 1), ByteView(*sealed), certificate});
  if (!changed) return changed.error();
  if (*changed != 1) return Error{ErrorCode::conflict, "the key record changed meanwhile"};
  sealer_->versions().note(transaction, table, as_bytes(record.id.text()), changed_key.version + 1);
  return {};
}

}  // namespace intaglio::custody
