#pragma once

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "journal.h"
#include "plan.h"

namespace intaglio::virtual_hsm {

/// A plan that was read, and how often each function was called since.
struct Standing {
  explicit Standing(std::optional<Plan> read) : plan(std::move(read)), calls(function_names().size()) {}
  const std::optional<Plan> plan;  ///< empty when the file holds none: every call is refused then
  std::vector<std::atomic<std::uint64_t>> calls;
  std::once_flag sessions_closed;

  /// Counts a call of this function with this key; gives its number, from 1.
  [[nodiscard]] std::uint64_t count(std::size_t function, const std::string& key) {
    const std::lock_guard lock(mutex_);
    return ++key_calls_[{function, key}];
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<std::size_t, std::string>, std::uint64_t> key_calls_;
};

/// The plan file: a regular file of this user, mode 0600. It is read anew when it was replaced or changed.
class Control {
 public:
  Control(std::string file, Journal& journal) : file_(std::move(file)), journal_(journal) {}
  [[nodiscard]] std::shared_ptr<Standing> standing();

 private:
  struct Identity {
    ino_t inode = 0;
    off_t size = -1;
    std::int64_t changed = 0;  ///< nanoseconds of st_ctim
    bool operator==(const Identity&) const = default;
  };
  [[nodiscard]] std::optional<Plan> read();
  [[nodiscard]] static Identity identity_of(const struct stat& status) noexcept;

  const std::string file_;
  Journal& journal_;
  std::mutex mutex_;
  std::optional<Identity> seen_;
  std::shared_ptr<Standing> standing_;
};

}  // namespace intaglio::virtual_hsm
