#include "http/limiter.h"

#include <algorithm>
#include <cstring>

#include "base/panic.h"
#include "crypto/digest.h"
#include "crypto/random.h"

namespace intaglio::http {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t hash_key_bytes = 16;

Bytes new_hash_key() {
  auto key = crypto::random_bytes(hash_key_bytes);
  if (!key) panic("no random numbers for a limiter");
  return std::move(*key);
}

/// Rounded up: what is let through in an hour is never more than sixty times the rate and one bucket.
nanoseconds interval_of(std::uint32_t per_minute) {
  if (per_minute > Limiter::max_per_minute) panic("a rate beyond what a limiter counts");
  if (per_minute == 0) return nanoseconds{0};
  const nanoseconds minute = std::chrono::minutes{1};
  return (minute + nanoseconds{per_minute - 1}) / per_minute;
}

}  // namespace

Limiter::Limiter(std::uint32_t per_minute, std::shared_ptr<const Clock> clock) : Limiter(per_minute, std::move(clock), new_hash_key()) {}

Limiter::Limiter(std::uint32_t per_minute, std::shared_ptr<const Clock> clock, Bytes hash_key)
    : interval_(interval_of(per_minute)),
      bucket_(interval_ * per_minute),
      clock_(std::move(clock)),
      hash_key_(std::move(hash_key)),
      cells_(per_minute == 0 ? 0 : rows * cells_of_row) {}

std::array<std::size_t, Limiter::rows> Limiter::places_of(std::string_view key) const {
  auto input = hash_key_;
  input.insert(input.end(), key.begin(), key.end());
  const auto digest = crypto::sha256(input);
  std::array<std::uint64_t, rows> words{};
  static_assert(sizeof words == sizeof digest);
  std::memcpy(words.data(), digest.data(), sizeof words);
  std::array<std::size_t, rows> places{};
  for (std::size_t row = 0; row < rows; ++row) places.at(row) = row * cells_of_row + words.at(row) % cells_of_row;
  return places;
}

std::optional<std::chrono::seconds> Limiter::wait_for(std::string_view key) {
  if (interval_ == nanoseconds{0}) return std::nullopt;
  const auto places = places_of(key);
  const nanoseconds now = std::chrono::milliseconds{clock_->unix_milliseconds()};
  const std::lock_guard lock(mutex_);
  auto full_at = nanoseconds::max();
  for (const auto place : places) {
    // Later than an empty bucket needs: written before the clock was set back.
    cells_.at(place) = std::clamp(cells_.at(place), now, now + bucket_);
    full_at = std::min(full_at, cells_.at(place));
  }
  const auto then_full_at = full_at + interval_;
  if (then_full_at > now + bucket_) return std::chrono::ceil<std::chrono::seconds>(then_full_at - now - bucket_);
  for (const auto place : places) cells_.at(place) = std::max(cells_.at(place), then_full_at);
  return std::nullopt;
}

}  // namespace intaglio::http
