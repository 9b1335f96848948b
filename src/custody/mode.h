#pragma once

#include <string_view>

#include "base/result.h"

namespace intaglio::custody {

/// Where the keys of a signing profile are (trust-core, section 3): objects of the token, rows of the database under two locks, or objects
/// of one session of the token.
enum class Mode : std::uint8_t { resident = 1, wrapped = 2, one_time = 3 };

[[nodiscard]] std::string_view name_of(Mode mode) noexcept;
/// As a policy document names it; `invalid_request` for anything else.
[[nodiscard]] Result<Mode> parse_mode(std::string_view name);

}  // namespace intaglio::custody
