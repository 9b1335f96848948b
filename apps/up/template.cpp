#include "template.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"

namespace intaglio::up {
namespace {

constexpr std::size_t max_example_bytes = 64 * 1024;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// The section of `[name]` or `[[name]]`.
std::string_view section_of(std::string_view line) {
  const auto first = line.find_first_not_of('[');
  return line.substr(first, line.find(']') - first);
}

/// The comment after a value, with the blanks before it; a '#' inside quotes begins none.
std::string_view comment_after(std::string_view value) {
  char quote = 0;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (quote != 0) {
      if (value[at] == quote) quote = 0;
    } else if (value[at] == '"' || value[at] == '\'') {
      quote = value[at];
    } else if (value[at] == '#') {
      while (at > 0 && value[at - 1] == ' ') --at;
      return value.substr(at);
    }
  }
  return {};
}

}  // namespace

Result<std::string> fill_template(std::string_view example, const Settings& settings) {
  std::string filled;
  std::string section;
  std::set<std::string> used;
  while (!example.empty()) {
    const auto end = std::min(example.find('\n'), example.size());
    const auto line = example.substr(0, end);
    example.remove_prefix(std::min(end + 1, example.size()));
    const auto text = trimmed(line);
    const auto equals = text.find('=');
    if (text.starts_with('[')) {
      section = std::string(section_of(text)) + ".";
    } else if (!text.starts_with('#') && equals != std::string_view::npos) {
      const std::string name = section + std::string(trimmed(text.substr(0, equals)));
      const auto setting = std::ranges::find(settings, name, &Settings::value_type::first);
      if (setting != settings.end()) {
        filled += std::string(trimmed(text.substr(0, equals))) + " = " + setting->second +
                  std::string(comment_after(text.substr(equals + 1))) + "\n";
        used.insert(name);
        continue;
      }
    }
    filled += std::string(line) + "\n";
  }
  for (const auto& [name, value] : settings) {
    if (!used.contains(name)) return Error{ErrorCode::configuration, "the example has no key " + name};
  }
  return filled;
}

Status fill_template_file(const std::filesystem::path& example, const Settings& settings, const std::filesystem::path& written) {
  const auto text = read_file(example, max_example_bytes);
  if (!text) return text.error();
  const auto filled = fill_template(as_text(*text), settings);
  if (!filled) return Error{filled.error().code, example.string() + ": " + filled.error().detail};
  return write_file_durably(written, as_bytes(*filled), 0600);
}

std::string toml_text(std::string_view text) { return log::json_quoted(text); }
std::string toml_number(std::uint64_t number) { return std::to_string(number); }

}  // namespace intaglio::up
