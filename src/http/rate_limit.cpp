#include "http/rate_limit.h"

#include "base/check.h"

namespace intaglio::http {

Status RateLimit::take(std::string_view address, UnixTime now) {
  const std::lock_guard lock(mutex_);
  const auto minute = unix_seconds(now) / 60;
  if (minute != minute_) {
    minute_ = minute;
    taken_ = 0;
    by_address_.clear();
  }
  if (refused_by("http.rate.all", taken_ >= bounds_.all)) return Error{ErrorCode::limit_exceeded, "too many requests of all"};
  auto& of_address = by_address_[std::string(address)];
  if (refused_by("http.rate.address", of_address >= bounds_.each)) {
    return Error{ErrorCode::limit_exceeded, "too many requests of one address"};
  }
  ++of_address;
  ++taken_;
  return {};
}

}  // namespace intaglio::http
