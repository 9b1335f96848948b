#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace intaglio {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Error failed(std::string_view what, const std::filesystem::path& path) {
  const int reason = errno;
  return {reason == ENOENT ? ErrorCode::not_found : ErrorCode::storage_unavailable,
          std::string(what) + " " + path.string() + ": " + std::strerror(reason)};
}

Status write_all(int fd, ByteView content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const auto written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("cannot write", path);
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max_size) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failed("cannot open", path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return failed("cannot read", path);
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::invalid_request, path.string() + " is not a file"};
  if (static_cast<std::uintmax_t>(status.st_size) > max_size)
    return Error{ErrorCode::too_large, path.string() + " is larger than " + std::to_string(max_size) + " bytes"};
  Bytes content(static_cast<std::size_t>(status.st_size));
  std::size_t done = 0;
  while (done < content.size()) {
    const auto got = ::read(file.get(), content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot read", path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  content.resize(done);
  return content;
}

Result<Secret> read_secret_file(const std::filesystem::path& path, std::size_t max_size) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return failed("cannot open", path);
  if ((status.st_mode & 077U) != 0) {
    return Error{ErrorCode::configuration, path.string() + " can be read by others; run: chmod 600 " + path.string()};
  }
  auto content = read_file(path, max_size);
  if (!content) return content.error();
  const WipeAtExit wiped(*content);
  ByteView view(*content);
  if (!view.empty() && view.back() == '\n') view = view.first(view.size() - 1);
  return Secret(view);
}

Status write_file_durably(const std::filesystem::path& path, ByteView content, unsigned mode) {
  auto temporary = path;
  temporary += ".new";
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) return failed("cannot create", temporary);
    if (::fchmod(file.get(), mode) != 0) return failed("cannot set the mode of", temporary);
    if (auto written = write_all(file.get(), content, temporary); !written) return written;
    if (::fsync(file.get()) != 0) return failed("cannot make durable", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("cannot replace", path);
  const auto folder_path = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor folder(::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return failed("cannot make durable", folder_path);
  return {};
}

}  // namespace intaglio
