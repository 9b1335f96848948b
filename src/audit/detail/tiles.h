#pragma once

#include <filesystem>

#include "audit/detail/merkle.h"

namespace intaglio::audit::detail {

/// The largest event: an entry's length stands in two bytes of its bundle.
inline constexpr std::size_t max_entry_size = 65535;

/// Tiles and entry bundles as C2SP tlog-tiles lays them out below one folder. Full ones never change; each is durable and
/// complete or not there.
class Tiles {
 public:
  explicit Tiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// `hashes.size()` is the width; a full tile takes the place of its partial ones.
  Status write_tile(unsigned level, std::uint64_t index, std::span<const Hash> hashes) const;
  Status write_bundle(std::uint64_t index, std::span<const Bytes> entries) const;
  /// Refused (`not_found`) when there is neither a tile of this width nor the full one, or when it has another length.
  [[nodiscard]] Result<std::vector<Hash>> read_tile(unsigned level, std::uint64_t index, std::size_t width) const;
  [[nodiscard]] Result<std::vector<Bytes>> read_bundle(std::uint64_t index, std::size_t width) const;

  /// The hash over leaves of a tree of `size` leaves, from its tiles.
  [[nodiscard]] Result<Hash> range_hash(std::uint64_t size, std::uint64_t begin, std::uint64_t end) const;

  /// `x001/x234/067`.
  [[nodiscard]] static std::string encode_index(std::uint64_t index);

 private:
  [[nodiscard]] std::filesystem::path path_of(const std::string& kind, std::uint64_t index, std::size_t width) const;
  Status write(const std::string& kind, std::uint64_t index, std::size_t width, ByteView content) const;
  [[nodiscard]] Result<Bytes> read(const std::string& kind, std::uint64_t index, std::size_t width) const;

  std::filesystem::path folder_;
};

/// Makes a folder and its parents, mode 0700, so that they survive a power loss.
Status make_folder_durably(const std::filesystem::path& folder);

}  // namespace intaglio::audit::detail
