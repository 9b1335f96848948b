#include "storage/postgres/dialect.h"

#include <array>
#include <utility>

namespace intaglio::storage::postgres {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> definitions{
    {{"INTEGER", "BIGINT"}, {"BLOB", "BYTEA"}, {"WITHOUT ROWID", ""}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

bool begins_with_word(std::string_view sql, std::string_view word) {
  const auto begin = sql.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && sql.substr(begin).starts_with(word);
}

/// `text` at `at`, and neither in the middle of a word nor followed by more of one.
bool is_at(std::string_view sql, std::size_t at, std::string_view text) {
  if (!sql.substr(at).starts_with(text)) return false;
  const auto end = at + text.size();
  return (at == 0 || !is_word(sql[at - 1])) && (end == sql.size() || !is_word(sql[end]));
}

}  // namespace

std::string translate(std::string_view sql) {
  const bool defines = begins_with_word(sql, "CREATE") || begins_with_word(sql, "ALTER");
  std::string out;
  out.reserve(sql.size() + 8);
  bool quoted = false;
  for (std::size_t at = 0; at < sql.size(); ++at) {
    const char c = sql[at];
    // A quote within quotes is written twice, which ends and begins again.
    if (c == '\'') quoted = !quoted;
    if (!quoted && c == '?' && at + 1 < sql.size() && is_digit(sql[at + 1])) {
      out += '$';
      continue;
    }
    bool replaced = false;
    for (const auto& [ours, theirs] : definitions) {
      if (quoted || !defines || !is_at(sql, at, ours)) continue;
      out += theirs;
      at += ours.size() - 1;
      replaced = true;
      break;
    }
    if (!replaced) out += c;
  }
  while (!out.empty() && std::string_view("; \t\r\n").find(out.back()) != std::string_view::npos) out.pop_back();
  return out;
}

bool is_plain_insert(std::string_view sql) {
  return begins_with_word(sql, "INSERT INTO") && sql.find(" VALUES ") != std::string_view::npos &&
         sql.find("ON CONFLICT") == std::string_view::npos && sql.find("RETURNING") == std::string_view::npos;
}

}  // namespace intaglio::storage::postgres
