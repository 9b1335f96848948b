#pragma once

#include "audit/log.h"

namespace intaglio::audit {

/// What is left of a log whose database was brought back from a backup: the backup's entries, those that the tiles hold beyond it, and
/// what the anchor vouches for beyond both, of which only the number is known. Everything was read and leads from the first entry to the
/// signed checkpoint, and to the anchor where both end with the same entry.
class Remains {
 public:
  /// Refused (`audit_unavailable`) when database, tiles and checkpoint contradict each other, when there are no tiles up to the newest
  /// checkpoint, or when the anchor is older than either.
  [[nodiscard]] static Result<Remains> read(const LogConfig& config, storage::Database& database, const crypto::PublicKey& checkpoint_key);

  [[nodiscard]] std::uint64_t in_database() const noexcept { return database_; }
  [[nodiscard]] std::uint64_t in_tiles() const noexcept { return tiles_; }
  [[nodiscard]] std::uint64_t anchored() const noexcept { return anchored_; }
  /// Running hash at the end of what is known, of database and tiles; and the one that the anchor vouches for.
  [[nodiscard]] const crypto::Sha256Digest& known_running() const noexcept { return known_running_; }
  [[nodiscard]] const crypto::Sha256Digest& anchored_running() const noexcept { return anchored_running_; }
  [[nodiscard]] std::uint64_t known() const noexcept { return std::max(database_, tiles_); }
  /// Entries that nobody has any more.
  [[nodiscard]] std::uint64_t lost() const noexcept { return anchored_ > known() ? anchored_ - known() : 0; }
  /// The database goes on after what the anchor vouches for: a restore of before was cut off before its end, or somebody wrote there.
  [[nodiscard]] bool beyond_the_anchor() const noexcept { return database_ > anchored_; }

  /// The events that the tiles have and the database does not, as JSON texts, in order, until `each` refuses. Read anew, and refused when
  /// they are no longer those that `read` saw.
  Status each_missing(const std::function<Status(std::string_view event)>& each) const;
  /// All events that are known, of tiles and database, in order, in the same way.
  Status each_known(storage::Reader& reader, const std::function<Status(std::string_view event)>& each) const;

 private:
  explicit Remains(const LogConfig& config) : config_(config) {}
  [[nodiscard]] Status check_unchanged(const crypto::Sha256Digest& running) const;
  friend class Log;
  LogConfig config_;
  std::uint64_t database_ = 0, tiles_ = 0, anchored_ = 0;
  crypto::Sha256Digest database_running_{}, known_running_{}, anchored_running_{};
};

}  // namespace intaglio::audit
