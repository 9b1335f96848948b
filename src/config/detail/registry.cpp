#include "config/detail/registry.h"

#include <algorithm>
#include <numeric>

namespace intaglio::config::detail {

namespace {

std::string_view table_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

std::string_view name_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string without_brackets(std::string_view path) {
  std::string plain;
  for (std::size_t at = 0; at < path.size(); ++at) {
    if (path.substr(at, 2) == "[]") {
      ++at;
    } else {
      plain += path[at];
    }
  }
  return plain;
}

/// A key as a commented line or two: a required key has no value that would do.
void describe_key(std::string& out, const Known& known) {
  out += "# " + known.about + "\n# " + known.type;
  if (known.required) {
    out += ", required\n" + std::string(name_of(known.path)) + " =\n";
  } else if (known.fallback) {
    out += ", default:\n# " + std::string(name_of(known.path)) + " = " + *known.fallback + "\n";
  } else {
    out += ", optional\n# " + std::string(name_of(known.path)) + " =\n";
  }
}

}  // namespace

std::string join(std::string_view table, std::string_view name) {
  return table.empty() ? std::string(name) : std::string(table) + '.' + std::string(name);
}

std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t changed = diagonal + (left[i] == right[j] ? 0U : 1U);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

void Registry::learn(Known known) {
  if (find(known.path) == nullptr) known_.push_back(std::move(known));
}

const Known* Registry::find(std::string_view path) const {
  const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& known) {
    // An array of tables stands in a file under its plain name.
    return known.kind == Kind::tables ? std::string_view(known.path).substr(0, known.path.size() - 2) == path : known.path == path;
  });
  return found == known_.end() ? nullptr : &*found;
}

void Registry::refuse(unsigned line, std::string_view where, std::string_view what) {
  if (blank_) return;
  std::string text = file_;
  if (line > 0) text += ':' + std::to_string(line);
  text += ": " + std::string(where) + ": " + std::string(what);
  findings_.push_back({line, std::move(text)});
}

void Registry::refuse_unknown(unsigned line, std::string_view table, std::string_view name) {
  std::vector<std::pair<std::size_t, std::string>> names;
  for (const auto& known : known_) {
    const auto path = known.kind == Kind::tables ? std::string_view(known.path).substr(0, known.path.size() - 2) : known.path;
    if (table_of(path) == table) names.emplace_back(distance(name, name_of(path)), name_of(path));
  }
  std::stable_sort(names.begin(), names.end(), [](const auto& left, const auto& right) { return left.first < right.first; });
  std::string what = "unknown name";
  const char* separator = "; known here, the closest first: ";
  for (const auto& [ignored, known] : names) {
    what += separator + known;
    separator = ", ";
  }
  refuse(line, join(without_brackets(table), name), what);
}

Status Registry::verdict() const {
  if (findings_.empty()) return {};
  auto sorted = findings_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Finding& left, const Finding& right) { return left.line < right.line; });
  std::string detail;
  for (const auto& finding : sorted) detail += (detail.empty() ? "" : "\n") + finding.text;
  return Error{ErrorCode::configuration, detail};
}

std::string Registry::describe() const {
  std::string out;
  const auto describe_table = [&](std::string_view table) {
    for (const auto& known : known_) {
      if (known.kind == Kind::key && table_of(known.path) == table) describe_key(out, known);
    }
  };
  describe_table({});
  for (const auto& known : known_) {
    if (known.kind == Kind::key) continue;
    const auto name = without_brackets(known.path);
    out += (out.empty() ? "# " : "\n# ") + known.about + '\n' + (known.kind == Kind::tables ? "[[" + name + "]]" : '[' + name + ']') + '\n';
    describe_table(known.path);
  }
  return out;
}

std::string Registry::effective() const {
  std::string out;
  for (const auto& [path, value] : values_) out += path + " = " + value + '\n';
  return out;
}

}  // namespace intaglio::config::detail
