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

/// Whether a row that was put back to an earlier version, or removed, is refused. Rows of a table that refuses are never deleted.
enum class Rollback { tolerated, refused };

/// A table whose rows are sealed records: columns `id TEXT PRIMARY KEY, version INTEGER, record BLOB`. Every update names the
/// version that it replaces, so that two writers never both succeed (TC-8).
class Table {
 public:
  /// `name` has static lifetime: statements are kept under it.
  Table(std::shared_ptr<const Sealer> sealer, std::string_view name, Rollback rollback);

  /// Of a snapshot, which may be older than the latest commit: for what decides nothing.
  [[nodiscard]] Result<std::optional<Record>> find_in_snapshot(storage::Reader& reader, std::string_view id) const;
  /// The latest; with Rollback::refused it is refused (`storage_unavailable`) when it was put back or removed (Versions).
  [[nodiscard]] Result<std::optional<Record>> find(storage::Transaction& transaction, std::string_view id) const;
  /// The version that `find` would give, 0 when there is no row, refused as there; the record itself is not opened: for one that is large
  /// and is in memory as of a version.
  [[nodiscard]] Result<std::uint64_t> latest_version(storage::Transaction& transaction, std::string_view id) const;
  /// Version 1, or later than a record of this id that a restore gave up; `conflict` when the id exists; with Rollback::refused as `find` when the id has existed.
  Status insert(storage::Transaction& transaction, std::string_view id, ByteView content) const;
  /// `conflict` when the row is no longer of this version; with Rollback::refused as `find` when that version is not the latest.
  Status update(storage::Transaction& transaction, std::string_view id, std::uint64_t version, ByteView content) const;

 private:
  std::shared_ptr<const Sealer> sealer_;
  std::string_view name_;
  Rollback rollback_;
  [[nodiscard]] Status check_latest(std::string_view id, std::uint64_t version) const;
  [[nodiscard]] Status meet(storage::Transaction& transaction, std::string_view id, std::uint64_t version) const;
  std::string select_, select_version_, insert_, update_;
};

}  // namespace intaglio::sealed
