#include "base/panic.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace intaglio {

void panic(const char* what) noexcept {
  constexpr const char* prefix = "panic: ";
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, prefix, std::strlen(prefix));
  written = ::write(STDERR_FILENO, what, std::strlen(what));
  written = ::write(STDERR_FILENO, "\n", 1);
  std::abort();
}

}  // namespace intaglio
