#include "audit/detail/merkle.h"

#include <array>
#include <bit>

namespace intaglio::audit::detail {

namespace {

/// The largest power of two below `count`, which is at least 2.
std::uint64_t split_of(std::uint64_t count) noexcept { return std::bit_floor(count - 1); }

Error refused(const char* why) { return {ErrorCode::invalid_request, std::string("audit: ") + why}; }

Status add_inclusion(std::vector<Hash>& path, std::uint64_t index, std::uint64_t begin, std::uint64_t end, const RangeHash& range) {
  if (end - begin == 1) return {};
  const auto middle = begin + split_of(end - begin);
  const bool left = index < middle;
  if (auto below = left ? add_inclusion(path, index, begin, middle, range) : add_inclusion(path, index, middle, end, range); !below) {
    return below;
  }
  auto sibling = left ? range(middle, end) : range(begin, middle);
  if (!sibling) return sibling.error();
  path.push_back(*sibling);
  return {};
}

/// SUBPROOF(old, D[begin:end], known) of RFC 9162; `known`: the old root is this very subtree's, so it is not repeated.
Status add_consistency(std::vector<Hash>& path, std::uint64_t old_end, std::uint64_t begin, std::uint64_t end, bool known,
                       const RangeHash& range) {
  if (old_end == end) {
    if (known) return {};
    auto own = range(begin, end);
    if (!own) return own.error();
    path.push_back(*own);
    return {};
  }
  const auto middle = begin + split_of(end - begin);
  const bool left = old_end <= middle;
  if (auto below =
          left ? add_consistency(path, old_end, begin, middle, known, range) : add_consistency(path, old_end, middle, end, false, range);
      !below) {
    return below;
  }
  auto other = left ? range(middle, end) : range(begin, middle);
  if (!other) return other.error();
  path.push_back(*other);
  return {};
}

}  // namespace

Hash hash_of_leaf(ByteView entry) {
  Bytes input;
  input.reserve(1 + entry.size());
  input.push_back(0x00);
  append(input, entry);
  return crypto::sha256(input);
}

Hash hash_of_node(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 65> input{0x01};
  std::copy(left.begin(), left.end(), input.begin() + 1);
  std::copy(right.begin(), right.end(), input.begin() + 33);
  return crypto::sha256(input);
}

Hash root_of(std::span<const Hash> hashes) {
  if (hashes.empty()) return crypto::sha256({});
  if (hashes.size() == 1) return hashes.front();
  const auto middle = static_cast<std::size_t>(split_of(hashes.size()));
  return hash_of_node(root_of(hashes.first(middle)), root_of(hashes.subspan(middle)));
}

Result<std::vector<Hash>> inclusion_path(std::uint64_t index, std::uint64_t size, const RangeHash& range) {
  if (index >= size) return refused("no such leaf in this tree");
  std::vector<Hash> path;
  if (auto added = add_inclusion(path, index, 0, size, range); !added) return added.error();
  return path;
}

Result<Hash> root_from_path(std::uint64_t index, std::uint64_t size, const Hash& leaf, std::span<const Hash> path) {
  if (index >= size) return refused("no such leaf in this tree");
  auto position = index;
  auto last = size - 1;
  auto root = leaf;
  for (const auto& sibling : path) {
    if (last == 0) return refused("the inclusion path is too long");
    if ((position & 1U) != 0 || position == last) {
      root = hash_of_node(sibling, root);
      while ((position & 1U) == 0 && position != 0) {
        position >>= 1U;
        last >>= 1U;
      }
    } else {
      root = hash_of_node(root, sibling);
    }
    position >>= 1U;
    last >>= 1U;
  }
  if (last != 0) return refused("the inclusion path is too short");
  return root;
}

Result<std::vector<Hash>> consistency_path(std::uint64_t old_size, std::uint64_t size, const RangeHash& range) {
  if (old_size == 0 || old_size > size) return refused("no such pair of trees");
  std::vector<Hash> path;
  if (auto added = add_consistency(path, old_size, 0, size, true, range); !added) return added.error();
  return path;
}

Status verify_consistency(std::uint64_t old_size, const Hash& old_root, std::uint64_t size, const Hash& root, std::span<const Hash> path) {
  if (old_size == 0 || old_size > size) return refused("no such pair of trees");
  if (old_size == size) return path.empty() && old_root == root ? Status() : refused("two roots for one size");
  // When the old size is a power of two, the path leaves out the old root, which is its first node.
  std::vector<Hash> nodes;
  if (std::has_single_bit(old_size)) nodes.push_back(old_root);
  nodes.insert(nodes.end(), path.begin(), path.end());
  if (nodes.empty()) return refused("the consistency path is empty");
  auto position = old_size - 1;
  auto last = size - 1;
  while ((position & 1U) != 0) {
    position >>= 1U;
    last >>= 1U;
  }
  auto from_old = nodes.front();
  auto from_new = nodes.front();
  for (std::size_t at = 1; at < nodes.size(); ++at) {
    if (last == 0) return refused("the consistency path is too long");
    if ((position & 1U) != 0 || position == last) {
      from_old = hash_of_node(nodes[at], from_old);
      from_new = hash_of_node(nodes[at], from_new);
      while ((position & 1U) == 0 && position != 0) {
        position >>= 1U;
        last >>= 1U;
      }
    } else {
      from_new = hash_of_node(from_new, nodes[at]);
    }
    position >>= 1U;
    last >>= 1U;
  }
  if (last != 0 || from_old != old_root || from_new != root) return refused("the trees are not consistent");
  return {};
}

Status Edge::append(const Hash& leaf, const FullTile& full) {
  auto hash = leaf;
  const auto index = size_;
  for (unsigned level = 0;; ++level) {
    if (levels_.size() <= level) levels_.emplace_back();
    auto& tile = levels_[level];
    tile.push_back(hash);
    if (tile.size() < tile_width) break;
    if (auto written = full(level, index >> (tile_height * (level + 1)), tile); !written) return written;
    hash = root_of(tile);
    tile.clear();
  }
  ++size_;
  return {};
}

Hash Edge::root() const {
  std::vector<Hash> row;
  for (const auto& tile : levels_) {
    // What lower levels left over is the last, incomplete element of this level.
    std::vector<Hash> next = tile;
    next.insert(next.end(), row.begin(), row.end());
    row.clear();
    if (!next.empty()) row.push_back(root_of(next));
  }
  return root_of(row);
}

Edge Edge::restore(std::uint64_t size, std::vector<std::vector<Hash>> levels) {
  Edge edge;
  edge.size_ = size;
  edge.levels_ = std::move(levels);
  for (unsigned level = 0; level < edge.levels_.size(); ++level) {
    if (edge.levels_[level].size() != width(size, level)) panic("audit: a partial tile of another width");
  }
  return edge;
}

std::size_t Edge::width(std::uint64_t size, unsigned level) noexcept {
  const unsigned shift = tile_height * level;
  return shift >= 64 ? 0 : static_cast<std::size_t>((size >> shift) % tile_width);
}

unsigned Edge::height(std::uint64_t size) noexcept {
  unsigned levels = 0;
  for (; size > 0; size >>= tile_height) ++levels;
  return levels;
}

}  // namespace intaglio::audit::detail
