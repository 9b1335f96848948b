#include "document/pades/pdf_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace intaglio::document::pades {
namespace {

class FileSource final : public PdfSource {
 public:
  FileSource(int descriptor, std::uint64_t size) : descriptor_(descriptor), size_(size) {}
  ~FileSource() override { ::close(descriptor_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }

  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const auto got = ::pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error{ErrorCode::not_found, std::string("cannot read the document: ") + std::strerror(errno)};
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  [[nodiscard]] std::variant<std::string, ByteView> for_library() const override { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
  std::uint64_t size_;
};

class MemorySource final : public PdfSource {
 public:
  explicit MemorySource(Bytes bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_.size(); }
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const auto count = std::min(into.size(), bytes_.size() - static_cast<std::size_t>(offset));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
    return count;
  }
  [[nodiscard]] std::variant<std::string, ByteView> for_library() const override { return ByteView(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace

Result<std::shared_ptr<const PdfSource>> open_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return Error{ErrorCode::not_found, path.string() + ": " + std::strerror(errno)};
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return Error{ErrorCode::invalid_request, path.string() + " is not a regular file"};
  }
  return std::shared_ptr<const PdfSource>(std::make_shared<FileSource>(descriptor, static_cast<std::uint64_t>(status.st_size)));
}

std::shared_ptr<const PdfSource> from_memory(Bytes bytes) { return std::make_shared<MemorySource>(std::move(bytes)); }

}  // namespace intaglio::document::pades
