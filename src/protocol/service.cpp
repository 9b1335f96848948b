#include "protocol/service.h"

#include "base/panic.h"

namespace intaglio::protocol {

std::string_view name_of(KeyState state) noexcept {
  switch (state) {
    case KeyState::generated: return "generated";
    case KeyState::assigned: return "assigned";
    case KeyState::suspended: return "suspended";
    case KeyState::destroyed: return "destroyed";
    case KeyState::inactive: return "inactive";
  }
  panic("a key state without a name");
}

}  // namespace intaglio::protocol
