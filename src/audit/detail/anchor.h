#pragma once

#include <filesystem>
#include <mutex>
#include <optional>

#include "audit/detail/merkle.h"

namespace intaglio::audit::detail {

/// Where a log ends: how many entries, and the running hash over them.
struct Head {
  std::uint64_t size;
  Hash running;
  bool operator==(const Head&) const = default;
};

/// running(n) = SHA-256(running(n-1) | leaf(n)).
[[nodiscard]] Hash next_running(const Hash& running, const Hash& leaf);
/// The head of the empty log: its running hash is SHA-256 of the origin.
[[nodiscard]] Head empty_head(std::string_view origin);

/// A small file on another disk than the database: what it vouches for cannot be taken back by whoever owns the database. Two
/// places are written in turn, so that a write which is torn leaves the earlier one.
class Anchor {
 public:
  /// Makes the file with `first` when it is not there. Refused when it is there and holds nothing readable.
  [[nodiscard]] static Result<std::unique_ptr<Anchor>> open(const std::filesystem::path& path, const std::optional<Head>& first);
  ~Anchor();
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  [[nodiscard]] Head head() const;
  /// Returns when it is on the disk. A head that is not newer changes nothing. Thread-safe.
  Status store(const Head& head);

  /// For offline tools.
  [[nodiscard]] static Result<Head> read(const std::filesystem::path& path);

 private:
  Anchor(int descriptor, Head head, unsigned place) : descriptor_(descriptor), head_(head), place_(place) {}
  int descriptor_;
  mutable std::mutex mutex_;
  Head head_;
  unsigned place_;  ///< the one that holds head_
};

}  // namespace intaglio::audit::detail
