#include "document/pades/detail/durable_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "crypto/random.h"
#include "document/pades/sign.h"

namespace intaglio::document::pades::detail {
namespace {

Error failed(const std::filesystem::path& path, int error) {
  return Error{ErrorCode::storage_unavailable, path.string() + ": " + std::strerror(error)};
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

Error taken(const std::filesystem::path& target) { return Error{ErrorCode::conflict, target.string() + " exists already"}; }

/// Gives `from` the name `to` unless that name is taken, in one step.
Status rename_new(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EEXIST) return taken(to);
  if (errno != EINVAL && errno != ENOSYS) return failed(to, errno);
  // A file system without RENAME_NOREPLACE: a hard link refuses a taken name as well.
  if (::link(from.c_str(), to.c_str()) != 0) return errno == EEXIST ? taken(to) : failed(to, errno);
  ::unlink(from.c_str());
  return {};
}

}  // namespace

DurableCopy::DurableCopy(std::filesystem::path target, std::filesystem::path temporary, int descriptor, Existing existing)
    : target_(std::move(target)), temporary_(std::move(temporary)), descriptor_(descriptor), existing_(existing) {}

DurableCopy::DurableCopy(DurableCopy&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      existing_(other.existing_) {
  other.temporary_.clear();
}

DurableCopy::~DurableCopy() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<DurableCopy> DurableCopy::begin(std::filesystem::path target, Existing existing) {
  std::error_code ignored;
  if (existing == Existing::keep && std::filesystem::exists(std::filesystem::symlink_status(target, ignored))) return taken(target);
  auto id = crypto::random_id();
  if (!id) return id.error();
  auto temporary = folder_of(target) / ("." + target.filename().string() + "." + *id + ".tmp");
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0) return failed(temporary, errno);
  return DurableCopy(std::move(target), std::move(temporary), descriptor, existing);
}

Status DurableCopy::write(ByteView bytes) {
  while (!bytes.empty()) {
    const auto done = ::write(descriptor_, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return failed(temporary_, done == 0 ? EIO : errno);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Status DurableCopy::commit() {
  if (::fsync(descriptor_) != 0) return failed(temporary_, errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) return failed(temporary_, errno);
  if (existing_ == Existing::keep) {
    if (auto renamed = rename_new(temporary_, target_); !renamed) return renamed;
  } else if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return failed(target_, errno);
  }
  temporary_.clear();
  const int folder = ::open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failed(folder_of(target_), errno);
  const bool synced = ::fsync(folder) == 0;
  const int error = errno;
  ::close(folder);
  if (!synced) return failed(folder_of(target_), error);
  return {};
}

}  // namespace intaglio::document::pades::detail
