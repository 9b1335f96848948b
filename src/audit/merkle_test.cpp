#include "audit/detail/merkle.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace intaglio::audit::detail {
namespace {

/// Inputs, roots and paths of google/certificate-transparency's tests (cpp/merkletree/merkle_tree_test.cc).
const std::vector<std::string> inputs = {
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
const std::vector<std::string> roots = {
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

std::vector<Hash> reference_leaves() {
  std::vector<Hash> leaves;
  for (const auto& input : inputs) leaves.push_back(hash_of_leaf(*parse_hex(input)));
  return leaves;
}

RangeHash range_over(const std::vector<Hash>& leaves) {
  return [&leaves](std::uint64_t begin, std::uint64_t end) -> Result<Hash> {
    return root_of(std::span<const Hash>(leaves).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
  };
}

std::vector<Hash> some_leaves(std::size_t count) {
  std::vector<Hash> leaves;
  for (std::size_t at = 0; at < count; ++at) leaves.push_back(hash_of_leaf(as_bytes(std::to_string(at))));
  return leaves;
}

std::vector<std::string> hex_of(const std::vector<Hash>& hashes) {
  std::vector<std::string> out;
  for (const auto& hash : hashes) out.push_back(encode_hex(hash));
  return out;
}

TEST(Merkle, TheEmptyTreeHasTheHashOfNothing) {
  EXPECT_EQ(encode_hex(root_of({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Merkle, RootsAreThoseOfCertificateTransparency) {
  const auto leaves = reference_leaves();
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    EXPECT_EQ(encode_hex(root_of(std::span<const Hash>(leaves).first(size))), roots[size - 1]) << size;
  }
}

TEST(Merkle, InclusionPathsAreThoseOfCertificateTransparency) {
  const auto leaves = reference_leaves();
  struct Vector {
    std::uint64_t index, size;
    std::vector<std::string> path;
  };
  const std::vector<Vector> vectors = {
      {0, 1, {}},
      {0,
       8,
       {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
      {5,
       8,
       {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
      {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
      {1,
       5,
       {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
  };
  for (const auto& vector : vectors) {
    auto path = inclusion_path(vector.index, vector.size, range_over(leaves));
    ASSERT_TRUE(path);
    EXPECT_EQ(hex_of(*path), vector.path) << vector.index << " of " << vector.size;
  }
}

TEST(Merkle, ConsistencyPathsAreThoseOfCertificateTransparency) {
  const auto leaves = reference_leaves();
  struct Vector {
    std::uint64_t old_size, size;
    std::vector<std::string> path;
  };
  const std::vector<Vector> vectors = {
      {1, 1, {}},
      {1,
       8,
       {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
      {6,
       8,
       {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
      {2,
       5,
       {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
  };
  for (const auto& vector : vectors) {
    auto path = consistency_path(vector.old_size, vector.size, range_over(leaves));
    ASSERT_TRUE(path);
    EXPECT_EQ(hex_of(*path), vector.path) << vector.old_size << " to " << vector.size;
  }
}

TEST(Merkle, EveryLeafOfEveryTreeIsProvedAndNoOther) {
  const auto leaves = some_leaves(70);
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    const auto root = root_of(std::span<const Hash>(leaves).first(size));
    for (std::size_t index = 0; index < size; ++index) {
      auto path = inclusion_path(index, size, range_over(leaves));
      ASSERT_TRUE(path);
      auto reached = root_from_path(index, size, leaves[index], *path);
      ASSERT_TRUE(reached);
      EXPECT_EQ(*reached, root);
      auto other = root_from_path((index + 1) % size, size, leaves[index], *path);
      if (size > 1) {
        EXPECT_FALSE(other && *other == root) << index << " of " << size;
      }
    }
  }
}

TEST(Merkle, APathOfAnotherLengthIsRefused) {
  const auto leaves = some_leaves(11);
  auto path = inclusion_path(4, 11, range_over(leaves));
  ASSERT_TRUE(path);
  auto longer = *path;
  longer.push_back(leaves[0]);
  EXPECT_FALSE(root_from_path(4, 11, leaves[4], longer));
  auto shorter = *path;
  shorter.pop_back();
  EXPECT_FALSE(root_from_path(4, 11, leaves[4], shorter));
  EXPECT_FALSE(root_from_path(11, 11, leaves[4], *path));
}

TEST(Merkle, AnyTwoSizesOfOneTreeAreConsistentAndAChangedTreeIsNot) {
  rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 600);
    const auto old_size = *rc::gen::inRange<std::size_t>(1, size + 1);
    auto leaves = some_leaves(size);
    const auto old_root = root_of(std::span<const Hash>(leaves).first(old_size));
    auto path = consistency_path(old_size, size, range_over(leaves));
    RC_ASSERT(path);
    RC_ASSERT(verify_consistency(old_size, old_root, size, root_of(leaves), *path));
    const auto changed = *rc::gen::inRange<std::size_t>(0, old_size);
    leaves[changed][0] ^= 1U;
    auto other = consistency_path(old_size, size, range_over(leaves));
    RC_ASSERT(other);
    RC_ASSERT(!verify_consistency(old_size, old_root, size, root_of(leaves), *other));
    RC_ASSERT(!verify_consistency(old_size, old_root, size, root_of(leaves), *path));
  });
}

TEST(Merkle, TheRightEdgeHasTheRootOfTheWholeTree) {
  const auto leaves = some_leaves(70000);
  Edge edge;
  std::size_t full = 0;
  for (std::size_t at = 0; at < leaves.size(); ++at) {
    ASSERT_TRUE(edge.append(leaves[at], [&](unsigned, std::uint64_t, std::span<const Hash> hashes) {
      EXPECT_EQ(hashes.size(), tile_width);
      ++full;
      return Status();
    }));
    if (at % 9973 == 0 || at == 255 || at == 256 || at == 65535) {
      EXPECT_EQ(edge.root(), root_of(std::span<const Hash>(leaves).first(at + 1))) << at;
    }
  }
  EXPECT_EQ(edge.root(), root_of(leaves));
  // The example of C2SP tlog-tiles: 273 full tiles at level 0, one at level 1, partial ones of 112, 17 and 1.
  EXPECT_EQ(full, 274U);
  ASSERT_EQ(edge.levels().size(), 3U);
  EXPECT_EQ(edge.levels()[0].size(), 112U);
  EXPECT_EQ(edge.levels()[1].size(), 17U);
  EXPECT_EQ(edge.levels()[2].size(), 1U);
}

}  // namespace
}  // namespace intaglio::audit::detail
