#pragma once

#include <optional>
#include <string>

#include "custody/wrapped/sealed_key.h"
#include "sealed/table.h"

namespace intaglio::custody {

/// A key in wrapped custody as the database keeps it.
struct SealedKeyRow {
  std::string provider;          ///< BlobProvider::name of whoever sealed it
  std::uint64_t policy_version;  ///< KeyBinding::policy_version; the rest of the binding stands in the key's record
  SealedKey sealed;
};
struct StoredSealedKey {
  std::uint64_t version;
  SealedKeyRow row;
};

/// The rows of wrapped keys, by key. Sealed once more as every record of the SAM is (TC-8); a row that was put back to an earlier
/// version, or removed, is refused, so that an old secret opens nothing once it was changed. A destroyed key leaves a tombstone.
class SealedKeyStore {
 public:
  explicit SealedKeyStore(std::shared_ptr<const sealed::Sealer> sealer)
      : rows_(std::move(sealer), "wrapped_keys", sealed::Rollback::refused) {}

  /// The latest; nothing when there never was one or when it was destroyed. As sealed::Table::find for rows that were put back.
  [[nodiscard]] Result<std::optional<StoredSealedKey>> find(storage::Transaction& transaction, const KeyId& key) const;
  /// `conflict` when the key has, or had, a row.
  Status insert(storage::Transaction& transaction, const KeyId& key, const SealedKeyRow& row) const;
  /// `conflict` when the row is no longer of this version.
  Status replace(storage::Transaction& transaction, const KeyId& key, std::uint64_t version, const SealedKeyRow& row) const;
  /// Nothing of the key is in its row from now on; nothing happens to a key without one. There is no way back (SRG_KM.6.1).
  Status destroy(storage::Transaction& transaction, const KeyId& key) const;

  static const std::vector<storage::Migration>& migrations();

 private:
  sealed::Table rows_;
};

}  // namespace intaglio::custody
