#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace intaglio::http {

/// A token bucket for each of any number of keys: `per_minute` on average, as many at once. Its memory is fixed: a key draws on four
/// cells, chosen by a keyed hash, and has what the fullest of them has (a count-min sketch of generic cell rates, ITU-T I.371). So no
/// key gets more than its rate whoever else comes, and a flood of other keys refills nobody's bucket; a key gets less only when it meets
/// others in all four cells, which nobody can arrange who does not know the key of the hash. Thread-safe.
class Limiter {
 public:
  static constexpr std::uint32_t max_per_minute = 1'000'000;

  /// 0 to max_per_minute; 0: everything is let through, and no memory taken.
  Limiter(std::uint32_t per_minute, std::shared_ptr<const Clock> clock);
  /// With this key of the hash.
  Limiter(std::uint32_t per_minute, std::shared_ptr<const Clock> clock, Bytes hash_key);

  /// Nothing when one was taken from the bucket of this key; otherwise after how long there is one, rounded up.
  [[nodiscard]] std::optional<std::chrono::seconds> wait_for(std::string_view key);

 private:
  static constexpr std::size_t rows = 4;
  static constexpr std::size_t cells_of_row = std::size_t{1} << 14U;

  [[nodiscard]] std::array<std::size_t, rows> places_of(std::string_view key) const;

  const std::chrono::nanoseconds interval_;  ///< between two of one key; 0: no limit
  const std::chrono::nanoseconds bucket_;    ///< what a full bucket lets through at once, as many intervals
  const std::shared_ptr<const Clock> clock_;
  const Bytes hash_key_;
  std::mutex mutex_;
  std::vector<std::chrono::nanoseconds> cells_;  ///< since 1970: when the bucket will be full again
};

}  // namespace intaglio::http
