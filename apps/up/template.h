#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace intaglio::up {

/// `section.key` (or `key` before the first section) and the TOML literal that takes the place of the example's.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The commented example configuration with these values filled in: comments and every other line stay. Refused when the
/// example has no such key, so that example and supervisor cannot drift apart.
[[nodiscard]] Result<std::string> fill_template(std::string_view example, const Settings& settings);
/// The same from file to file.
Status fill_template_file(const std::filesystem::path& example, const Settings& settings, const std::filesystem::path& written);

/// TOML literals.
[[nodiscard]] std::string toml_text(std::string_view text);
[[nodiscard]] std::string toml_number(std::uint64_t number);

}  // namespace intaglio::up
