#pragma once

#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio::document::pades {
enum class Existing;
}

namespace intaglio::document::pades::detail {

/// A file that comes into being at once or not at all: it grows under a temporary name, which disappears with this object
/// unless it was committed.
class DurableCopy {
 public:
  [[nodiscard]] static Result<DurableCopy> begin(std::filesystem::path target, Existing existing);
  DurableCopy(DurableCopy&& other) noexcept;
  DurableCopy& operator=(DurableCopy&&) = delete;
  DurableCopy(const DurableCopy&) = delete;
  DurableCopy& operator=(const DurableCopy&) = delete;
  ~DurableCopy();

  Status write(ByteView bytes);
  /// Where it grows.
  [[nodiscard]] const std::filesystem::path& temporary() const noexcept { return temporary_; }
  /// fsync, the final name, fsync of the folder.
  Status commit();

 private:
  DurableCopy(std::filesystem::path target, std::filesystem::path temporary, int descriptor, Existing existing);
  std::filesystem::path target_, temporary_;
  int descriptor_;
  Existing existing_;
};

}  // namespace intaglio::document::pades::detail
