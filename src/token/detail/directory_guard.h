#pragma once

#include <chrono>
#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio::token::detail {

/// The lock on a SoftHSM folder, held around C_Initialize + C_Login and around creation and destruction of objects.
///
/// SoftHSM rewrites token.object in place at every C_Login: `kill -9` in that moment leaves it empty, and with it the token's
/// master key is lost. So each good token.object is copied durably before a login, and a torn one is restored from its copy.
/// The lock is flock on the folder itself: it needs no file and works in a folder that may only be read.
class DirectoryGuard {
 public:
  /// `busy` when another process holds the lock for longer than `patience`.
  [[nodiscard]] static Result<DirectoryGuard> acquire(const std::filesystem::path& directory, std::chrono::milliseconds patience);
  DirectoryGuard(DirectoryGuard&& other) noexcept;
  DirectoryGuard& operator=(DirectoryGuard&&) = delete;
  ~DirectoryGuard();

  /// Restores what is torn, then copies what is good. `token_unavailable` when a token.object is torn and has no good copy.
  Status protect() const;

 private:
  DirectoryGuard(std::filesystem::path directory, int descriptor) : directory_(std::move(directory)), descriptor_(descriptor) {}
  std::filesystem::path directory_;
  int descriptor_;
};

/// Says that a process uses the folder, for as long as it lives: a lock on a file of its own, shared among those who serve.
class DirectoryUse {
 public:
  enum class Kind { shared, alone };
  /// `conflict` when another process uses the folder and either of both wants it alone. In a folder that may only be read nothing
  /// can be marked, nor can anything be torn: there everyone is let in.
  [[nodiscard]] static Result<DirectoryUse> begin(const std::filesystem::path& directory, Kind kind);
  DirectoryUse(DirectoryUse&& other) noexcept;
  DirectoryUse& operator=(DirectoryUse&&) = delete;
  ~DirectoryUse();

 private:
  explicit DirectoryUse(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// Whether these are whole attribute records of SoftHSM's file store: not empty, not cut, not zeros.
[[nodiscard]] bool is_whole_object_file(ByteView content) noexcept;

}  // namespace intaglio::token::detail
