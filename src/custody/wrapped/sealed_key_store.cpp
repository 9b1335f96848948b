#include "custody/wrapped/sealed_key_store.h"

namespace intaglio::custody {
namespace {

constexpr std::size_t max_provider = 64;
constexpr std::size_t max_blob = 64 * 1024;
constexpr std::string_view live = "wrapped-key/1";
constexpr std::string_view tombstone = "wrapped-key-destroyed/1";

Bytes encode(const SealedKeyRow& row) {
  Bytes out;
  append_field(out, live);
  append_field(out, row.provider);
  append_field(out, row.policy_version);
  append_field(out, row.sealed.blob);
  append_field(out, row.sealed.locked);
  return out;
}

Result<std::optional<SealedKeyRow>> parse(ByteView encoded) {
  const Error malformed{ErrorCode::storage_unavailable, "the row of a wrapped key is malformed"};
  FieldReader in(encoded);
  const auto kind = in.text(32);
  if (!kind) return malformed;
  if (*kind == tombstone && in.end()) return std::optional<SealedKeyRow>();
  auto provider = in.text(max_provider);
  const auto policy_version = in.number();
  auto blob = in.bytes(max_blob);
  auto locked = in.bytes(max_blob);
  if (*kind != live || !provider || !policy_version || !blob || !locked || !in.end()) return malformed;
  return std::optional(SealedKeyRow{*std::move(provider), *policy_version, SealedKey{*std::move(blob), *std::move(locked)}});
}

}  // namespace

const std::vector<storage::Migration>& SealedKeyStore::migrations() {
  static const std::vector<storage::Migration> list = {
      {1, "CREATE TABLE wrapped_keys (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);"}};
  return list;
}

Result<std::optional<StoredSealedKey>> SealedKeyStore::find(storage::Transaction& transaction, const KeyId& key) const {
  auto found = rows_.find(transaction, key.text());
  if (!found) return found.error();
  if (!*found) return std::optional<StoredSealedKey>();
  auto row = parse((*found)->content.reveal());
  if (!row) return row.error();
  if (!*row) return std::optional<StoredSealedKey>();
  return std::optional(StoredSealedKey{(*found)->version, **std::move(row)});
}

Status SealedKeyStore::insert(storage::Transaction& transaction, const KeyId& key, const SealedKeyRow& row) const {
  return rows_.insert(transaction, key.text(), encode(row));
}

Status SealedKeyStore::replace(storage::Transaction& transaction, const KeyId& key, std::uint64_t version, const SealedKeyRow& row) const {
  return rows_.update(transaction, key.text(), version, encode(row));
}

Status SealedKeyStore::destroy(storage::Transaction& transaction, const KeyId& key) const {
  auto found = find(transaction, key);
  if (!found) return found.error();
  if (!*found) return {};
  Bytes nothing;
  append_field(nothing, tombstone);
  return rows_.update(transaction, key.text(), (*found)->version, nothing);
}

}  // namespace intaglio::custody
