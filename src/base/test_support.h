#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "base/panic.h"
#include "base/result.h"

/// What unit tests of every room stand on; no part of any process.
namespace intaglio::test {

/// The value of what a test takes for granted.
template <typename T>
T must(Result<T> result) {
  if (!result) panic(result.error().detail.c_str());
  return std::move(*result);
}
inline void must(const Status& status) {
  if (!status) panic(status.error().detail.c_str());
}

/// An empty folder that goes with this. A member before everything that has files in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "intaglio-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) panic("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace intaglio::test
