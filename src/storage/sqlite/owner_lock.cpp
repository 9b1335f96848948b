#include "storage/sqlite/owner_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace intaglio::storage::sqlite {

namespace {

Error system_error(const char* what, const std::filesystem::path& path) {
  return {ErrorCode::storage_unavailable, std::string("storage: ") + what + " " + path.string() + ": " + std::strerror(errno)};
}

}  // namespace

Result<OwnerLock> OwnerLock::take(const std::filesystem::path& database) {
  auto path = database;
  path += ".lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return system_error("cannot open", path);
  OwnerLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return Error{ErrorCode::conflict, "storage: " + database.string() + " is open in another process"};
  return system_error("cannot lock", path);
}

OwnerLock::~OwnerLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

OwnerLock::OwnerLock(OwnerLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Status make_private_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  // A file that exists is not opened: closing it again would drop SQLite's own locks of this process on it (POSIX locks).
  if (file < 0) {
    if (errno == EEXIST) return {};
    return system_error("cannot create", path);
  }
  ::close(file);
  const auto folder_path = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int folder = ::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return system_error("cannot open", folder_path);
  const int synced = ::fsync(folder);
  ::close(folder);
  if (synced != 0) return system_error("cannot flush", folder_path);
  return {};
}

}  // namespace intaglio::storage::sqlite
