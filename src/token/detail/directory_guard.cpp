#include "token/detail/directory_guard.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"

namespace intaglio::token::detail {
namespace {

constexpr std::size_t max_object_size = 1U << 20U;
constexpr const char* object_name = "token.object";
/// Its name does not end in .object, so SoftHSM takes no notice of it.
constexpr const char* copy_name = "token.object.copy";
constexpr const char* use_name = "intaglio.in-use";

/// Numbers in SoftHSM's files are big-endian and 8 bytes long.
std::optional<std::uint64_t> take_number(ByteView& rest) noexcept {
  if (rest.size() < 8) return std::nullopt;
  std::uint64_t number = 0;
  for (const auto byte : rest.first(8)) number = number << 8U | byte;
  rest = rest.subspan(8);
  return number;
}

/// The length of a value of this kind, read from its front where it says so; nothing when the kind does not exist.
std::optional<std::uint64_t> value_length(std::uint64_t kind, ByteView& rest) noexcept {
  switch (kind) {
    case 1: return 1;             // boolean
    case 2: return 8;             // number
    case 3:                       // bytes
    case 4:                       // attributes
    case 5: return take_number(rest);  // mechanisms, counted
    default: return std::nullopt;
  }
}

Status protect_one(const std::filesystem::path& folder) {
  const auto object = folder / object_name;
  const auto copy = folder / copy_name;
  auto content = read_file(object, max_object_size);
  if (!content) return content.error();
  auto kept = read_file(copy, max_object_size);
  const bool kept_is_whole = kept && is_whole_object_file(*kept);
  if (!is_whole_object_file(*content)) {
    if (!kept_is_whole)
      return Error{ErrorCode::token_unavailable, object.string() + " is torn and has no good copy: restore it from a backup"};
    if (auto restored = write_file_durably(object, *kept, 0600); !restored) return restored;
    log::warn("token.object restored", {{"file", object.string()}});
    return {};
  }
  // Where it cannot be written, no login can tear it.
  if (::access(object.c_str(), W_OK) != 0 || (kept_is_whole && *kept == *content)) return {};
  return write_file_durably(copy, *content, 0600);
}

}  // namespace

bool is_whole_object_file(ByteView content) noexcept {
  auto rest = content;
  if (!take_number(rest) || rest.empty()) return false;  // the generation, then at least one attribute
  while (!rest.empty()) {
    const auto type = take_number(rest);
    const auto kind = take_number(rest);
    if (!type || !kind) return false;
    auto length = value_length(*kind, rest);
    if (length && *kind == 5) length = *length <= rest.size() ? std::optional(*length * 8) : std::nullopt;
    if (!length || *length > rest.size()) return false;
    rest = rest.subspan(static_cast<std::size_t>(*length));
  }
  return true;
}

Result<DirectoryGuard> DirectoryGuard::acquire(const std::filesystem::path& directory, std::chrono::milliseconds patience) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error{ErrorCode::configuration, "token directory " + directory.string() + ": " + std::strerror(errno)};
  }
  DirectoryGuard guard(directory, descriptor);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Error{ErrorCode::configuration, "token directory " + directory.string() + " cannot be locked: " + std::strerror(errno)};
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{ErrorCode::busy, "token directory " + directory.string() + " is locked by another process"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return guard;
}

DirectoryGuard::DirectoryGuard(DirectoryGuard&& other) noexcept
    : directory_(std::move(other.directory_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

DirectoryGuard::~DirectoryGuard() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<DirectoryUse> DirectoryUse::begin(const std::filesystem::path& directory, Kind kind) {
  const auto file = directory / use_name;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    if (errno == EACCES || errno == EROFS) return DirectoryUse(-1);
    return Error{ErrorCode::configuration, file.string() + ": " + std::strerror(errno)};
  }
  DirectoryUse use(descriptor);
  int locked = -1;
  do {
    locked = ::flock(descriptor, (kind == Kind::alone ? LOCK_EX : LOCK_SH) | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (refused_by("token.used_alone", locked != 0)) {
    return Error{ErrorCode::conflict,
                 kind == Kind::alone ? "the token directory " + directory.string() + " is in use; stop the services that use it first"
                                     : "the token directory " + directory.string() + " is being probed; try again when that has ended"};
  }
  return use;
}

DirectoryUse::DirectoryUse(DirectoryUse&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

DirectoryUse::~DirectoryUse() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status DirectoryGuard::protect() const {
  std::error_code failed;
  bool any = false;
  for (std::filesystem::directory_iterator entry(directory_, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code ignored;
    if (!std::filesystem::exists(entry->path() / object_name, ignored)) continue;
    any = true;
    if (auto done = protect_one(entry->path()); !done) return done;
  }
  if (failed) return Error{ErrorCode::configuration, "token directory " + directory_.string() + ": " + failed.message()};
  if (!any) return Error{ErrorCode::configuration, "no token stands in " + directory_.string()};
  return {};
}

}  // namespace intaglio::token::detail
