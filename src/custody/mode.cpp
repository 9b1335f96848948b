#include "custody/mode.h"

namespace intaglio::custody {

std::string_view name_of(Mode mode) noexcept {
  switch (mode) {
    case Mode::resident: return "resident";
    case Mode::wrapped: return "wrapped";
    case Mode::one_time: return "one-time";
  }
  panic("a custody mode outside its enumeration");
}

Result<Mode> parse_mode(std::string_view name) {
  for (const auto mode : {Mode::resident, Mode::wrapped, Mode::one_time}) {
    if (name == name_of(mode)) return mode;
  }
  return Error{ErrorCode::invalid_request, "custody is resident, wrapped or one-time"};
}

}  // namespace intaglio::custody
