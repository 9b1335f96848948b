#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace intaglio::config {

struct Range {
  std::int64_t least;
  std::int64_t most;
};

/// One table of a configuration file. Each getter names its key, says in one sentence what the key is for, and records both: so
/// the file, `--help` and the documentation cannot disagree. A getter without fallback reads a required key. When a value is
/// missing or wrong the getter notes the refusal for Document::finish and gives the fallback or nothing.
class Section {
 public:
  [[nodiscard]] std::string text(std::string_view key, std::string_view about);
  [[nodiscard]] std::string text(std::string_view key, std::string_view about, std::string_view fallback);
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view key, std::string_view about);
  /// One of the given words.
  [[nodiscard]] std::string choice(std::string_view key, std::string_view about, const std::vector<std::string>& words);
  [[nodiscard]] std::string choice(std::string_view key, std::string_view about, const std::vector<std::string>& words,
                                   std::string_view fallback);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::string_view about, Range range);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::string_view about, Range range, std::int64_t fallback);
  /// A whole number of seconds; the key should end in `_seconds`.
  [[nodiscard]] std::chrono::seconds seconds(std::string_view key, std::string_view about, Range range, std::int64_t fallback);
  /// 0 to 65535; 0 lets the system choose a free one.
  [[nodiscard]] std::uint16_t port(std::string_view key, std::string_view about, std::uint16_t fallback);
  [[nodiscard]] bool boolean(std::string_view key, std::string_view about);
  [[nodiscard]] bool boolean(std::string_view key, std::string_view about, bool fallback);
  /// Relative paths start at the folder of the configuration file.
  [[nodiscard]] std::filesystem::path path(std::string_view key, std::string_view about);
  [[nodiscard]] std::filesystem::path path(std::string_view key, std::string_view about, const std::filesystem::path& fallback);
  [[nodiscard]] std::optional<std::filesystem::path> optional_path(std::string_view key, std::string_view about);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key, std::string_view about);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key, std::string_view about, const std::vector<std::string>& fallback);
  [[nodiscard]] std::vector<std::filesystem::path> paths(std::string_view key, std::string_view about);
  [[nodiscard]] std::vector<std::filesystem::path> paths(std::string_view key, std::string_view about,
                                                         const std::vector<std::filesystem::path>& fallback);
  /// `[name]` below this table. Empty when the file has none.
  [[nodiscard]] Section section(std::string_view name, std::string_view about);
  /// `[[name]]` below this table, in the file's order. To describe the keys of an element, a blank document has exactly one.
  [[nodiscard]] std::vector<Section> sections(std::string_view name, std::string_view about);

  [[nodiscard]] bool has(std::string_view key) const;
  /// Notes a refusal of the caller's own at this key's line: "must not be below …".
  void refuse(std::string_view key, std::string_view why);

 private:
  friend class Document;
  struct State;
  explicit Section(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// A configuration file (TOML 1.0, at most 1 MiB). Read every key, then ask finish(); use no value before it agreed.
/// Secrets do not stand in configuration: a key names the file that holds one.
class Document {
 public:
  /// `program`: whose configuration it is, for messages. Refused (`configuration`) with file, line and column when it is not TOML.
  [[nodiscard]] static Result<Document> open(const std::filesystem::path& path, std::string_view program);
  /// The same for a text; `path` names it and gives the folder of relative paths.
  [[nodiscard]] static Result<Document> parse(std::string_view text, const std::filesystem::path& path, std::string_view program);
  /// No file: for describe() after the program's own reading code ran over it. Its finish() refuses nothing.
  [[nodiscard]] static Document blank(std::string_view program);

  /// The top-level table.
  [[nodiscard]] Section root();
  [[nodiscard]] Section section(std::string_view name, std::string_view about) { return root().section(name, about); }
  [[nodiscard]] std::vector<Section> sections(std::string_view name, std::string_view about) { return root().sections(name, about); }

  /// Refused (`configuration`) with every finding, one a line: file:line, the key, what is wrong. Keys that nothing read are
  /// findings too, with the known names, the closest first.
  [[nodiscard]] Status finish() const;
  /// Every key that was read, as a commented TOML file: type, default, purpose.
  [[nodiscard]] std::string describe() const;
  /// The configuration in force, defaults included, keys sorted: the same text for the same configuration. The caller's digest
  /// of it is what the audit log records.
  [[nodiscard]] std::string effective() const;

 private:
  explicit Document(std::shared_ptr<Section::State> root) : root_(std::move(root)) {}
  std::shared_ptr<Section::State> root_;
};

}  // namespace intaglio::config
