#include "base/clock.h"

#include <sys/timex.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace intaglio {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

Status check_error(std::chrono::microseconds largest_error, std::chrono::microseconds bound) {
  if (largest_error <= bound) return {};
  return Error{ErrorCode::clock_unsynchronised, "the clock may be off by " + std::to_string(largest_error.count()) +
                                                    " microseconds, which is more than is allowed: " + std::to_string(bound.count())};
}

class SystemClock final : public Clock {
 public:
  explicit SystemClock(ClockSource source) : source_(source) {}

  [[nodiscard]] UnixTime now() const override { return std::chrono::floor<std::chrono::seconds>(system_clock::now()) + test_offset(); }
  [[nodiscard]] milliseconds::rep unix_milliseconds() const override {
    return std::chrono::floor<milliseconds>(system_clock::now().time_since_epoch() + test_offset()).count();
  }
  [[nodiscard]] Status synchronised() const override { return synchronised_within(std::chrono::microseconds::max()); }
  [[nodiscard]] Status synchronised_within(std::chrono::microseconds bound) const override {
#ifdef INTAGLIO_TESTING
    if (test_word() == "unsynchronised") return Error{ErrorCode::clock_unsynchronised, "declared so by the test"};
#endif
    if (source_ == ClockSource::declared) return {};
    timex state{};
    const int kernel = ::adjtimex(&state);
    if (kernel < 0 || kernel == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
      return Error{ErrorCode::clock_unsynchronised,
                   "the kernel says that the clock is not synchronised (adjtimex); start chrony or systemd-timesyncd"};
    }
    // EN 319 421, 7.7.2: while a leap second is inserted the kernel says the second before it again.
    if (kernel == TIME_OOP && bound != std::chrono::microseconds::max())
      return Error{ErrorCode::clock_unsynchronised, "a leap second is being inserted"};
    return check_error(std::chrono::microseconds(state.maxerror), bound);
  }
  [[nodiscard]] ClockSource source() const noexcept override { return source_; }

 private:
#ifdef INTAGLIO_TESTING
  static std::string test_word() {
    const char* path = std::getenv("INTAGLIO_TEST_CLOCK");
    std::string word;
    if (path != nullptr) std::ifstream(path) >> word;
    return word;
  }
  static std::chrono::seconds test_offset() { return std::chrono::seconds(std::atoll(test_word().c_str())); }
#else
  static std::chrono::seconds test_offset() { return std::chrono::seconds(0); }
#endif
  ClockSource source_;
};

}  // namespace

std::shared_ptr<const Clock> make_system_clock(ClockSource source) { return std::make_shared<SystemClock>(source); }

Status ManualClock::synchronised() const {
  if (!synchronised_) return Error{ErrorCode::clock_unsynchronised, "declared so by the test"};
  return {};
}

Status ManualClock::synchronised_within(std::chrono::microseconds bound) const {
  if (auto trusted = synchronised(); !trusted) return trusted;
  return check_error(largest_error_.load(), bound);
}

std::string format_utc(UnixTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

Result<UnixTime> parse_utc(std::string_view text) {
  const Error malformed{ErrorCode::invalid_request, "a time is written 2026-11-20T10:37:00Z"};
  if (text.size() != 20) return malformed;
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int used = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2u-%2uT%2u:%2u:%2uZ%n", &year, &month, &day, &hour, &minute, &second, &used) != 6 || used != 20)
    return malformed;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return malformed;
  const UnixTime time =
      std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
  if (format_utc(time) != text) return malformed;
  return time;
}

}  // namespace intaglio
