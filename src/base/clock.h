#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace intaglio {

/// Seconds since 1970-01-01T00:00:00Z. Every moment that is stored, signed or compared is of this type.
using UnixTime = std::chrono::sys_seconds;

/// Whether the clock may be trusted, by its own source (kernel: adjtimex; chrony; declared: an operator's word, for demo
/// and tests only).
enum class ClockSource { kernel, declared };

/// The one source of time; injected everywhere. No other code reads the system clock (lint).
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UnixTime now() const = 0;
  [[nodiscard]] virtual std::chrono::milliseconds::rep unix_milliseconds() const = 0;
  /// Refused with clock_unsynchronised when the source cannot vouch for the time (TC-10).
  [[nodiscard]] virtual Status synchronised() const = 0;
  /// The same, and refused too when the source's own estimate of the largest error exceeds `bound` (kernel: adjtimex maxerror, which
  /// grows by 500 ppm since the last correction).
  [[nodiscard]] virtual Status synchronised_within(std::chrono::microseconds bound) const = 0;
  [[nodiscard]] virtual ClockSource source() const noexcept = 0;
};

/// The system clock. In the test flavour its offset can be moved: the file named by INTAGLIO_TEST_CLOCK holds a
/// number of seconds to add, or the word `unsynchronised`, and is read at every call.
[[nodiscard]] std::shared_ptr<const Clock> make_system_clock(ClockSource source);

/// RFC 3339 in UTC, whole seconds: 2026-11-20T10:37:00Z.
[[nodiscard]] std::string format_utc(UnixTime time);
/// Only the form that format_utc writes.
[[nodiscard]] Result<UnixTime> parse_utc(std::string_view text);
[[nodiscard]] inline std::int64_t unix_seconds(UnixTime time) noexcept { return time.time_since_epoch().count(); }
[[nodiscard]] inline UnixTime from_unix_seconds(std::int64_t seconds) noexcept { return UnixTime(std::chrono::seconds(seconds)); }

/// For unit tests: stands still until moved; may be moved while other threads read it.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(UnixTime start) : now_(start) {}
  void advance(std::chrono::seconds by) { now_ = now_.load() + by; }
  void lose_synchronisation() { synchronised_ = false; }
  void find_synchronisation() { synchronised_ = true; }
  void set_largest_error(std::chrono::microseconds error) { largest_error_ = error; }
  [[nodiscard]] UnixTime now() const override { return now_; }
  [[nodiscard]] std::chrono::milliseconds::rep unix_milliseconds() const override { return unix_seconds(now_.load()) * 1000; }
  [[nodiscard]] Status synchronised() const override;
  [[nodiscard]] Status synchronised_within(std::chrono::microseconds bound) const override;
  [[nodiscard]] ClockSource source() const noexcept override { return ClockSource::declared; }

 private:
  std::atomic<UnixTime> now_;
  std::atomic<bool> synchronised_ = true;
  std::atomic<std::chrono::microseconds> largest_error_{};
};

}  // namespace intaglio
