#include "base/check.h"

#ifdef INTAGLIO_TESTING
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace intaglio {

bool check_disabled(std::string_view name) noexcept {
  const char* disabled = std::getenv("INTAGLIO_DISABLED_CHECK");
  return disabled != nullptr && name == disabled;
}

void fault_point(std::string_view name) noexcept {
  static std::atomic<long> passages{0};
  const char* wanted = std::getenv("INTAGLIO_FAULT");
  if (wanted == nullptr) return;
  const std::string_view spec(wanted);
  const auto colon = spec.find(':');
  if (spec.substr(0, colon) != name) return;
  const long nth = colon == std::string_view::npos ? 1 : std::atol(wanted + colon + 1);
  if (++passages == nth) ::kill(::getpid(), SIGKILL);
}

}  // namespace intaglio
#endif
