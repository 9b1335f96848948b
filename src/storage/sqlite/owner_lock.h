#pragma once

#include <filesystem>

#include "base/result.h"

namespace intaglio::storage::sqlite {

/// Held as long as a database is open for writing; the kernel lets go of it when the process ends, however it ends.
class OwnerLock {
 public:
  /// Makes `<database>.lock`; refused (`conflict`) when another owner holds it.
  [[nodiscard]] static Result<OwnerLock> take(const std::filesystem::path& database);
  ~OwnerLock();
  OwnerLock(OwnerLock&& other) noexcept;
  OwnerLock& operator=(OwnerLock&&) = delete;

 private:
  explicit OwnerLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// Makes an empty file of mode 0600 that survives a power loss, unless it is there already.
Status make_private_file(const std::filesystem::path& path);

}  // namespace intaglio::storage::sqlite
