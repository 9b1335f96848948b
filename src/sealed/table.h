#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sealed/sealer.h"
#include "storage/database.h"

namespace intaglio::sealed {

/// A sealed record as it was found: the version is part of what seals it.
struct Record {
  std::uint64_t version;
  Secret content;
};

/// A table whose rows are sealed records: columns `id TEXT PRIMARY KEY, version INTEGER, record BLOB`. Every update names the
/// version that it replaces, so that two writers never both succeed (TC-8).
class Table {
 public:
  /// `name` has static lifetime: statements are kept under it.
  Table(std::shared_ptr<const Sealer> sealer, std::string_view name);

  [[nodiscard]] Result<std::optional<Record>> find(storage::Reader& reader, std::string_view id) const;
  /// Version 1; `conflict` when the id exists.
  Status insert(storage::Transaction& transaction, std::string_view id, ByteView content) const;
  /// `conflict` when the row is no longer of this version.
  Status update(storage::Transaction& transaction, std::string_view id, std::uint64_t version, ByteView content) const;

 private:
  std::shared_ptr<const Sealer> sealer_;
  std::string_view name_;
  std::string select_, insert_, update_;
};

}  // namespace intaglio::sealed
