#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace intaglio::http {

/// How often a stranger may ask, in each minute of the clock: per address, and all together. Holds no more than a minute's addresses.
class RateLimit {
 public:
  struct Bounds {
    std::size_t each = 10;
    std::size_t all = 120;
  };
  explicit RateLimit(Bounds bounds) : bounds_(bounds) {}
  /// Counts the request. `limit_exceeded` beyond a bound.
  Status take(std::string_view address, UnixTime now);

 private:
  const Bounds bounds_;
  std::mutex mutex_;
  std::int64_t minute_ = 0;
  std::size_t taken_ = 0;
  std::map<std::string, std::size_t, std::less<>> by_address_;
};

}  // namespace intaglio::http
