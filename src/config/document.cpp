#include "config/document.h"

#include <algorithm>
#include <functional>

#include "base/file.h"
#include "base/log.h"
#include "config/detail/ascii.h"
#include "config/detail/registry.h"

namespace intaglio::config::detail {
/// toml++ 3.3.0 asserts on some input that is merely wrong ("[[" at the end of a line), and assumes the same when NDEBUG is set.
struct ParserAssertion {};
constexpr void expect(bool condition) {
  if (!condition) throw ParserAssertion();
}
}  // namespace intaglio::config::detail

#undef NDEBUG
#define TOML_ASSERT(condition) intaglio::config::detail::expect(static_cast<bool>(condition))
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace intaglio::config {

using detail::join;
using detail::Kind;

namespace {

constexpr std::size_t max_file_size = 1024 * 1024;

struct File {
  std::filesystem::path folder;
  toml::table root;
  detail::Registry registry;
};

std::string literal(const std::string& text) { return log::json_quoted(text); }
std::string literal(std::int64_t number) { return std::to_string(number); }
std::string literal(bool value) { return value ? "true" : "false"; }
std::string literal(const std::filesystem::path& path) { return literal(path.string()); }
template <typename T>
std::string literal(const std::vector<T>& values) {
  std::string out = "[";
  for (const auto& value : values) out += (out.size() > 1 ? ", " : "") + literal(value);
  return out + ']';
}

unsigned line_of(const toml::node& node) { return node.source().begin.line; }

std::optional<std::string> as_plain_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  return std::nullopt;
}

std::optional<std::vector<std::string>> as_texts(const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  for (const auto& element : *array) {
    auto text = as_plain_text(element);
    if (!text) return std::nullopt;
    texts.push_back(std::move(*text));
  }
  return texts;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + literal(word);
  return out;
}

std::string type_of(Range range) { return "integer from " + std::to_string(range.least) + " to " + std::to_string(range.most); }

bool breaks_the_parser(std::string_view text) {
  try {
    static_cast<void>(toml::parse(text));
  } catch (const detail::ParserAssertion&) {
    return true;
  } catch (const std::exception&) {
    return false;
  }
  return false;
}

/// The line that the parser stumbled over without saying where: the last one of the shortest beginning that it stumbles over.
std::size_t find_broken_line(std::string_view text) {
  std::size_t line = 0;
  for (std::size_t end = 0; end != std::string_view::npos;) {
    ++line;
    end = text.find('\n', end);
    if (end != std::string_view::npos) ++end;
    if (breaks_the_parser(text.substr(0, end))) break;
  }
  return line;
}

Result<toml::table> parse_table(std::string_view original, const std::string& file) {
  const auto refused = [&](std::size_t line, const std::string& why) {
    return Error{ErrorCode::configuration, file + ':' + std::to_string(line) + ": " + why};
  };
  const auto ascii = detail::to_ascii(original);
  if (const auto* misfit = std::get_if<detail::Misfit>(&ascii)) return refused(misfit->line, misfit->why);
  const auto& text = std::get<std::string>(ascii);
  try {
    return Result<toml::table>(toml::parse(text));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    return refused(begin.line, "column " + std::to_string(begin.column) + ": " + std::string(error.description()));
  } catch (const detail::ParserAssertion&) {
    return refused(find_broken_line(text), "not TOML");
  } catch (const std::exception& error) {
    return refused(1, error.what());
  }
}

void refuse_unknown(detail::Registry& registry, const toml::table& table, const std::string& path) {
  for (const auto& [key, node] : table) {
    const auto inner = join(path, key.str());
    // A quoted key may hold a dot; it is not the path that it looks like.
    const auto* known = key.str().find_first_of(".[") == std::string_view::npos ? registry.find(inner) : nullptr;
    if (known == nullptr) {
      registry.refuse_unknown(key.source().begin.line, path, key.str());
    } else if (known->kind == Kind::table && node.is_table()) {
      refuse_unknown(registry, *node.as_table(), inner);
    } else if (known->kind == Kind::tables && node.is_array()) {
      for (const auto& element : *node.as_array()) {
        if (element.is_table()) refuse_unknown(registry, *element.as_table(), inner + "[]");
      }
    }
  }
}

}  // namespace

struct Section::State {
  std::shared_ptr<File> file;
  const toml::table* table;  ///< null when the file has no such table
  unsigned line;
  std::string described;     ///< elements as `name[]`
  std::string actual;        ///< elements as `name[0]`

  [[nodiscard]] detail::Registry& registry() const { return file->registry; }
  [[nodiscard]] const toml::node* find(std::string_view key) const { return table == nullptr ? nullptr : table->get(key); }

  /// The value of a key, or the fallback; null when it is missing or wrong.
  template <typename T>
  std::optional<T> read(std::string_view key, std::string_view about, const std::string& type, bool required, std::optional<T> fallback,
                        const std::function<std::optional<T>(const toml::node&)>& convert) {
    registry().learn(
        {join(described, key), Kind::key, std::string(about), type, fallback ? std::optional(literal(*fallback)) : std::nullopt, required});
    std::optional<T> value = std::move(fallback);
    if (const auto* node = find(key)) {
      value = convert(*node);
      if (!value) registry().refuse(line_of(*node), join(actual, key), "must be: " + type);
    } else if (required) {
      registry().refuse(line, join(actual, key), "is missing (" + type + "): " + std::string(about));
    }
    if (value) registry().set(join(actual, key), literal(*value));
    return value;
  }

  template <typename T>
  T read_or(T otherwise, std::string_view key, std::string_view about, const std::string& type, std::optional<T> fallback,
            const std::function<std::optional<T>(const toml::node&)>& convert) {
    const bool required = !fallback;
    return read<T>(key, about, type, required, std::move(fallback), convert).value_or(std::move(otherwise));
  }

  [[nodiscard]] std::filesystem::path resolve(const std::filesystem::path& path) const { return (file->folder / path).lexically_normal(); }
  [[nodiscard]] std::optional<std::filesystem::path> as_path(const toml::node& node) const {
    const auto text = as_plain_text(node);
    if (!text || text->empty() || text->find('\0') != std::string::npos) return std::nullopt;
    return resolve(*text);
  }
  [[nodiscard]] std::optional<std::vector<std::filesystem::path>> as_paths(const toml::node& node) const {
    const auto* array = node.as_array();
    if (array == nullptr) return std::nullopt;
    std::vector<std::filesystem::path> paths;
    for (const auto& element : *array) {
      auto path = as_path(element);
      if (!path) return std::nullopt;
      paths.push_back(std::move(*path));
    }
    return paths;
  }
};

Section::Section(std::shared_ptr<State> state) : state_(std::move(state)) {}

std::string Section::text(std::string_view key, std::string_view about) {
  return state_->read_or<std::string>({}, key, about, "text", std::nullopt, as_plain_text);
}

std::string Section::text(std::string_view key, std::string_view about, std::string_view fallback) {
  return state_->read_or<std::string>({}, key, about, "text", std::string(fallback), as_plain_text);
}

std::optional<std::string> Section::optional_text(std::string_view key, std::string_view about) {
  return state_->read<std::string>(key, about, "text", false, std::nullopt, as_plain_text);
}

namespace {

std::function<std::optional<std::string>(const toml::node&)> one_of(const std::vector<std::string>& words) {
  return [&words](const toml::node& node) -> std::optional<std::string> {
    auto text = as_plain_text(node);
    if (!text || std::find(words.begin(), words.end(), *text) == words.end()) return std::nullopt;
    return text;
  };
}

std::function<std::optional<std::int64_t>(const toml::node&)> within(Range range) {
  return [range](const toml::node& node) -> std::optional<std::int64_t> {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < range.least || number->get() > range.most) return std::nullopt;
    return number->get();
  };
}

std::optional<bool> as_boolean(const toml::node& node) {
  const auto* value = node.as_boolean();
  return value == nullptr ? std::nullopt : std::optional(value->get());
}

}  // namespace

std::string Section::choice(std::string_view key, std::string_view about, const std::vector<std::string>& words) {
  return state_->read_or<std::string>({}, key, about, "one of " + list_of(words), std::nullopt, one_of(words));
}

std::string Section::choice(std::string_view key, std::string_view about, const std::vector<std::string>& words,
                            std::string_view fallback) {
  return state_->read_or<std::string>({}, key, about, "one of " + list_of(words), std::string(fallback), one_of(words));
}

std::int64_t Section::integer(std::string_view key, std::string_view about, Range range) {
  return state_->read_or<std::int64_t>(range.least, key, about, type_of(range), std::nullopt, within(range));
}

std::int64_t Section::integer(std::string_view key, std::string_view about, Range range, std::int64_t fallback) {
  return state_->read_or<std::int64_t>(fallback, key, about, type_of(range), fallback, within(range));
}

std::chrono::seconds Section::seconds(std::string_view key, std::string_view about, Range range, std::int64_t fallback) {
  return std::chrono::seconds(integer(key, about, range, fallback));
}

std::uint16_t Section::port(std::string_view key, std::string_view about, std::uint16_t fallback) {
  return static_cast<std::uint16_t>(integer(key, about, {0, 65535}, fallback));
}

bool Section::boolean(std::string_view key, std::string_view about) {
  return state_->read_or<bool>(false, key, about, "true or false", std::nullopt, as_boolean);
}

bool Section::boolean(std::string_view key, std::string_view about, bool fallback) {
  return state_->read_or<bool>(fallback, key, about, "true or false", fallback, as_boolean);
}

std::filesystem::path Section::path(std::string_view key, std::string_view about) {
  return state_->read_or<std::filesystem::path>({}, key, about, "path", std::nullopt,
                                                [this](const toml::node& node) { return state_->as_path(node); });
}

std::filesystem::path Section::path(std::string_view key, std::string_view about, const std::filesystem::path& fallback) {
  return state_->read_or<std::filesystem::path>({}, key, about, "path", state_->resolve(fallback),
                                                [this](const toml::node& node) { return state_->as_path(node); });
}

std::optional<std::filesystem::path> Section::optional_path(std::string_view key, std::string_view about) {
  return state_->read<std::filesystem::path>(key, about, "path", false, std::nullopt,
                                             [this](const toml::node& node) { return state_->as_path(node); });
}

std::vector<std::string> Section::texts(std::string_view key, std::string_view about) {
  return state_->read_or<std::vector<std::string>>({}, key, about, "list of texts", std::nullopt, as_texts);
}

std::vector<std::string> Section::texts(std::string_view key, std::string_view about, const std::vector<std::string>& fallback) {
  return state_->read_or<std::vector<std::string>>({}, key, about, "list of texts", fallback, as_texts);
}

std::vector<std::filesystem::path> Section::paths(std::string_view key, std::string_view about) {
  return state_->read_or<std::vector<std::filesystem::path>>({}, key, about, "list of paths", std::nullopt,
                                                             [this](const toml::node& node) { return state_->as_paths(node); });
}

std::vector<std::filesystem::path> Section::paths(std::string_view key, std::string_view about,
                                                  const std::vector<std::filesystem::path>& fallback) {
  std::vector<std::filesystem::path> resolved;
  for (const auto& path : fallback) resolved.push_back(state_->resolve(path));
  return state_->read_or<std::vector<std::filesystem::path>>({}, key, about, "list of paths", resolved,
                                                             [this](const toml::node& node) { return state_->as_paths(node); });
}

Section Section::section(std::string_view name, std::string_view about) {
  const auto path = join(state_->described, name);
  state_->registry().learn({path, Kind::table, std::string(about), "table", std::nullopt, false});
  const auto* node = state_->find(name);
  const auto* table = node == nullptr ? nullptr : node->as_table();
  const auto where = join(state_->actual, name);
  if (node != nullptr && table == nullptr) state_->registry().refuse(line_of(*node), where, "must be a table: [" + where + ']');
  const unsigned line = table == nullptr ? state_->line : line_of(*table);
  return Section(std::make_shared<State>(State{state_->file, table, line, path, where}));
}

std::vector<Section> Section::sections(std::string_view name, std::string_view about) {
  const auto path = join(state_->described, name) + "[]";
  state_->registry().learn({path, Kind::tables, std::string(about), "tables", std::nullopt, false});
  const auto where = join(state_->actual, name);
  const auto element = [&](const toml::table* table, unsigned line, std::size_t index) {
    return Section(std::make_shared<State>(State{state_->file, table, line, path, where + '[' + std::to_string(index) + ']'}));
  };
  std::vector<Section> found;
  if (state_->registry().is_blank()) found.push_back(element(nullptr, 0, 0));
  const auto* node = state_->find(name);
  if (node == nullptr) return found;
  const auto* array = node->as_array();
  if (array == nullptr || !std::all_of(array->begin(), array->end(), [](const toml::node& item) { return item.is_table(); })) {
    state_->registry().refuse(line_of(*node), where, "must be tables: [[" + where + "]]");
    return found;
  }
  for (const auto& item : *array) found.push_back(element(item.as_table(), line_of(item), found.size()));
  return found;
}

bool Section::has(std::string_view key) const { return state_->find(key) != nullptr; }

void Section::refuse(std::string_view key, std::string_view why) {
  const auto* node = state_->find(key);
  state_->registry().refuse(node == nullptr ? state_->line : line_of(*node), join(state_->actual, key), why);
}

Result<Document> Document::open(const std::filesystem::path& path, std::string_view program) {
  auto content = read_file(path, max_file_size);
  if (!content) return Error{ErrorCode::configuration, std::string(program) + ": cannot read its configuration: " + content.error().detail};
  return parse(as_text(*content), path, program);
}

Result<Document> Document::parse(std::string_view text, const std::filesystem::path& path, std::string_view program) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  if (failed) return Error{ErrorCode::configuration, std::string(program) + ": " + failed.message()};
  if (text.size() > max_file_size) return Error{ErrorCode::configuration, path.string() + ": larger than 1 MiB"};
  auto table = parse_table(text, path.string());
  if (!table) return table.error();
  auto file = std::make_shared<File>(File{absolute.parent_path(), std::move(*table), detail::Registry(path.string(), false)});
  const auto* root = &file->root;
  return Document(std::make_shared<Section::State>(Section::State{std::move(file), root, 0, {}, {}}));
}

Document Document::blank(std::string_view program) {
  auto file = std::make_shared<File>(File{{}, {}, detail::Registry(std::string(program), true)});
  return Document(std::make_shared<Section::State>(Section::State{std::move(file), nullptr, 0, {}, {}}));
}

Section Document::root() { return Section(root_); }

Status Document::finish() const {
  // On a copy, so that asking twice finds the same.
  auto registry = root_->registry();
  if (root_->table != nullptr) refuse_unknown(registry, *root_->table, {});
  return registry.verdict();
}

std::string Document::describe() const { return root_->registry().describe(); }

std::string Document::effective() const { return root_->registry().effective(); }

}  // namespace intaglio::config
