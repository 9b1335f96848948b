#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "crypto/digest.h"

/// The hash tree of RFC 9162 section 2.1 (the same as RFC 6962's) with SHA-256.
namespace intaglio::audit::detail {

using Hash = crypto::Sha256Digest;

[[nodiscard]] Hash hash_of_leaf(ByteView entry);
[[nodiscard]] Hash hash_of_node(const Hash& left, const Hash& right);
/// The root over hashes that each cover equally many leaves, of which the last may cover fewer. The empty tree's is SHA-256("").
[[nodiscard]] Hash root_of(std::span<const Hash> hashes);

/// The hash of the leaves begin to end, without end; what RFC 9162 writes MTH(D[begin:end]).
using RangeHash = std::function<Result<Hash>(std::uint64_t begin, std::uint64_t end)>;

/// Section 2.1.3.1: from the leaf's sibling up.
[[nodiscard]] Result<std::vector<Hash>> inclusion_path(std::uint64_t index, std::uint64_t size, const RangeHash& range);
/// Section 2.1.3.2: the root that the path leads to. Refused (`invalid_request`) when the path has not the length that it must have.
[[nodiscard]] Result<Hash> root_from_path(std::uint64_t index, std::uint64_t size, const Hash& leaf, std::span<const Hash> path);

/// Section 2.1.4.1, between trees of 1 <= old_size <= size leaves.
[[nodiscard]] Result<std::vector<Hash>> consistency_path(std::uint64_t old_size, std::uint64_t size, const RangeHash& range);
/// Section 2.1.4.2. Refused (`invalid_request`) unless the tree of `root` continues that of `old_root`.
[[nodiscard]] Status verify_consistency(std::uint64_t old_size, const Hash& old_root, std::uint64_t size, const Hash& root,
                                        std::span<const Hash> path);

/// How many hashes stand in a full tile, and how many levels of the tree one tile spans (C2SP tlog-tiles).
inline constexpr std::size_t tile_width = 256;
inline constexpr unsigned tile_height = 8;

/// The right edge of a growing tree: per tile level the hashes of the tile that is not full yet. At most 256 hashes a level.
class Edge {
 public:
  /// A tile that became full: level, index, its hashes.
  using FullTile = std::function<Status(unsigned level, std::uint64_t index, std::span<const Hash> hashes)>;

  Status append(const Hash& leaf, const FullTile& full);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] Hash root() const;
  [[nodiscard]] const std::vector<std::vector<Hash>>& levels() const noexcept { return levels_; }
  /// The edge of a tree of this size from its partial tiles; their widths must be what the size says.
  [[nodiscard]] static Edge restore(std::uint64_t size, std::vector<std::vector<Hash>> levels);
  /// How many hashes the unfinished tile of a level has.
  [[nodiscard]] static std::size_t width(std::uint64_t size, unsigned level) noexcept;
  /// The levels that a tree of this size has tiles of.
  [[nodiscard]] static unsigned height(std::uint64_t size) noexcept;

 private:
  std::uint64_t size_ = 0;
  std::vector<std::vector<Hash>> levels_;
};

}  // namespace intaglio::audit::detail
