#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace intaglio::config::detail {

/// Where in a text, and why it is refused.
struct Misfit {
  std::size_t line;
  std::string why;
};

/// The same TOML in ASCII: characters of other scripts become `\UXXXXXXXX` in strings in double quotes and `?` in comments. Lines
/// stay what they are. Elsewhere such characters have no place in our files (TOML would allow them in literal and in multi-line
/// strings). The reason: toml++ 3.3.0 classes them by a switch that does not know them all.
[[nodiscard]] std::variant<std::string, Misfit> to_ascii(std::string_view text);

}  // namespace intaglio::config::detail
