#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace intaglio::config::detail {

enum class Kind { key, table, tables };

/// What the program said about one key or table. The path writes elements of `[[name]]` as `name[]`.
struct Known {
  std::string path;
  Kind kind;
  std::string about;
  std::string type;                     ///< for people: "integer from 1 to 65535"
  std::optional<std::string> fallback;  ///< as TOML
  bool required;
};

/// Everything that reading one file brought to light: known keys in the order in which they were read, findings, values in force.
class Registry {
 public:
  Registry(std::string file, bool blank) : file_(std::move(file)), blank_(blank) {}

  void learn(Known known);
  [[nodiscard]] const Known* find(std::string_view path) const;
  /// `line` 0: the file as a whole.
  void refuse(unsigned line, std::string_view where, std::string_view what);
  /// Notes an unknown name in the table of this described path, with the names that it could have.
  void refuse_unknown(unsigned line, std::string_view table, std::string_view name);
  void set(std::string path, std::string value) { values_.insert_or_assign(std::move(path), std::move(value)); }

  [[nodiscard]] bool is_blank() const noexcept { return blank_; }
  [[nodiscard]] Status verdict() const;
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] std::string effective() const;

 private:
  struct Finding {
    unsigned line;
    std::string text;
  };
  std::string file_;
  bool blank_;
  std::vector<Known> known_;
  std::vector<Finding> findings_;
  std::map<std::string, std::string> values_;
};

/// `table.name`, or the name alone at the top.
[[nodiscard]] std::string join(std::string_view table, std::string_view name);

/// How many single-character changes lead from one name to the other (Levenshtein).
[[nodiscard]] std::size_t distance(std::string_view left, std::string_view right);

}  // namespace intaglio::config::detail
