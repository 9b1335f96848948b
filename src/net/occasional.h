#pragma once

#include <atomic>
#include <chrono>

namespace intaglio::net {

/// At most one line a second, so that a stranger who keeps knocking does not fill the log.
class Occasional {
 public:
  [[nodiscard]] bool due() noexcept {
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    auto last = last_.load();
    return now - last >= interval && last_.compare_exchange_strong(last, now);
  }

 private:
  static constexpr auto interval = std::chrono::steady_clock::duration(std::chrono::seconds(1)).count();
  std::atomic<std::chrono::steady_clock::rep> last_{0};
};

}  // namespace intaglio::net
