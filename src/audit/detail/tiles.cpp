#include "audit/detail/tiles.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace intaglio::audit::detail {

namespace {

constexpr std::size_t hash_size = 32;
constexpr std::size_t max_bundle_size = tile_width * (2 + max_entry_size);
constexpr unsigned file_mode = 0600;

Error failed(const char* what, const std::filesystem::path& path) {
  return {ErrorCode::storage_unavailable, std::string("audit: ") + what + ' ' + path.string() + ": " + std::strerror(errno)};
}

Status flush_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failed("cannot open", folder);
  const int flushed = ::fsync(descriptor);
  ::close(descriptor);
  if (flushed != 0) return failed("cannot flush", folder);
  return {};
}

std::string kind_of(unsigned level) { return std::to_string(level); }
const std::string entries_kind = "entries";

}  // namespace

Status make_folder_durably(const std::filesystem::path& folder) {
  if (folder.empty()) return {};
  if (::mkdir(folder.c_str(), 0700) == 0) return flush_folder(folder.has_parent_path() ? folder.parent_path() : ".");
  if (errno == EEXIST) return {};
  if (errno != ENOENT || !folder.has_parent_path()) return failed("cannot make", folder);
  if (auto made = make_folder_durably(folder.parent_path()); !made) return made;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failed("cannot make", folder);
  return flush_folder(folder.parent_path());
}

std::string Tiles::encode_index(std::uint64_t index) {
  const auto three_digits = [](std::uint64_t group) {
    auto text = std::to_string(group);
    return std::string(3 - text.size(), '0') + text;
  };
  std::string text = three_digits(index % 1000);
  while ((index /= 1000) > 0) text.insert(0, 'x' + three_digits(index % 1000) + '/');
  return text;
}

std::filesystem::path Tiles::path_of(const std::string& kind, std::uint64_t index, std::size_t width) const {
  auto path = folder_ / "tile" / kind / encode_index(index);
  if (width < tile_width) path += ".p/" + std::to_string(width);
  return path;
}

Status Tiles::write(const std::string& kind, std::uint64_t index, std::size_t width, ByteView content) const {
  const auto path = path_of(kind, index, width);
  if (auto made = make_folder_durably(path.parent_path()); !made) return made;
  if (auto written = write_file_durably(path, content, file_mode); !written) return written;
  if (width < tile_width) return {};
  auto partial = path;
  partial += ".p";
  std::error_code ignored;
  std::filesystem::remove_all(partial, ignored);
  return {};
}

Result<Bytes> Tiles::read(const std::string& kind, std::uint64_t index, std::size_t width) const {
  auto content = read_file(path_of(kind, index, width), max_bundle_size);
  if (!content && width < tile_width) content = read_file(path_of(kind, index, tile_width), max_bundle_size);
  if (!content) {
    return Error{ErrorCode::not_found,
                 "audit: tile " + kind + '/' + encode_index(index) + " of width " + std::to_string(width) + " is missing"};
  }
  return content;
}

Status Tiles::write_tile(unsigned level, std::uint64_t index, std::span<const Hash> hashes) const {
  Bytes content;
  content.reserve(hashes.size() * hash_size);
  for (const auto& hash : hashes) append(content, hash);
  return write(kind_of(level), index, hashes.size(), content);
}

Status Tiles::write_bundle(std::uint64_t index, std::span<const Bytes> entries) const {
  Bytes content;
  for (const auto& entry : entries) {
    if (entry.size() > max_entry_size) panic("audit: an entry that is too large for its bundle");
    content.push_back(static_cast<std::uint8_t>(entry.size() >> 8U));
    content.push_back(static_cast<std::uint8_t>(entry.size() & 0xffU));
    append(content, entry);
  }
  return write(entries_kind, index, entries.size(), content);
}

Result<std::vector<Hash>> Tiles::read_tile(unsigned level, std::uint64_t index, std::size_t width) const {
  auto content = read(kind_of(level), index, width);
  if (!content) return content.error();
  if (content->size() % hash_size != 0 || content->size() < width * hash_size) {
    return Error{ErrorCode::not_found, "audit: tile " + kind_of(level) + '/' + encode_index(index) + " has a wrong length"};
  }
  std::vector<Hash> hashes(width);
  for (std::size_t at = 0; at < width; ++at) std::memcpy(hashes[at].data(), content->data() + at * hash_size, hash_size);
  return hashes;
}

Result<std::vector<Bytes>> Tiles::read_bundle(std::uint64_t index, std::size_t width) const {
  auto content = read(entries_kind, index, width);
  if (!content) return content.error();
  std::vector<Bytes> entries;
  ByteView rest(*content);
  while (entries.size() < width) {
    const std::size_t length = rest.size() < 2 ? 0 : static_cast<std::size_t>(rest[0]) << 8U | rest[1];
    if (rest.size() < 2 + length) return Error{ErrorCode::not_found, "audit: entry bundle " + encode_index(index) + " is broken"};
    entries.push_back(to_bytes(rest.subspan(2, length)));
    rest = rest.subspan(2 + length);
  }
  return entries;
}

Result<Hash> Tiles::range_hash(std::uint64_t size, std::uint64_t begin, std::uint64_t end) const {
  const auto count = end - begin;
  if (!std::has_single_bit(count)) {
    const auto middle = begin + std::bit_floor(count - 1);
    auto left = range_hash(size, begin, middle);
    if (!left) return left.error();
    auto right = range_hash(size, middle, end);
    if (!right) return right.error();
    return hash_of_node(*left, *right);
  }
  const auto height = static_cast<unsigned>(std::countr_zero(count));
  // A count of 64 bits has no level above 7.
  const unsigned level = std::min(height / tile_height, 7U);
  const auto first = begin >> (tile_height * level);
  const auto in_tile = static_cast<std::size_t>(count >> (tile_height * level));
  const auto index = first / tile_width;
  const auto width = std::min<std::uint64_t>(tile_width, (size >> (tile_height * level)) - index * tile_width);
  auto tile = read_tile(level, index, static_cast<std::size_t>(width));
  if (!tile) return tile.error();
  return root_of(std::span<const Hash>(*tile).subspan(static_cast<std::size_t>(first % tile_width), in_tile));
}

}  // namespace intaglio::audit::detail
