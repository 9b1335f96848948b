#include "notice/templates.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/file.h"
#include "outbound/mail.h"

namespace intaglio::notice {
namespace {

constexpr std::size_t max_file = 16 * 1024;
constexpr std::size_t max_value = 512;
constexpr std::string_view subject_begins = "Subject: ";
constexpr std::string_view opens = "{{", closes = "}}";

/// One file while it is read; refusals name the line.
class Reading {
 public:
  Reading(const std::filesystem::path& path, std::string_view text) : path_(path), text_(text) {}
  [[nodiscard]] Error refuse(std::size_t at, const std::string& why) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    return {ErrorCode::configuration, path_.string() + ":" + std::to_string(line) + ": " + why};
  }
  [[nodiscard]] Status check_octets() const {
    for (std::size_t at = 0; at < text_.size(); ++at) {
      const auto octet = static_cast<unsigned char>(text_[at]);
      if ((octet < 0x20 && octet != '\n') || octet == 0x7f) return refuse(at, "a control character; lines end with LF alone");
    }
    // Else every message of it would be refused when it is sent, long after the start.
    for (std::size_t at = 0; at < text_.size();) {
      const auto line = text_.substr(at, text_.find('\n', at) - at);
      if (!outbound::is_utf8(line)) return refuse(at, "not UTF-8");
      at += line.size() + 1;
    }
    return {};
  }
  [[nodiscard]] Status check_placeholders(Kind kind) const {
    const auto known = placeholders_of(kind);
    for (auto at = text_.find_first_of("{}"); at != std::string_view::npos; at = text_.find_first_of("{}", at)) {
      const auto end = text_.find(closes, at);
      if (!text_.substr(at).starts_with(opens) || end == std::string_view::npos) return refuse(at, "a brace outside a {{placeholder}}");
      const auto name = text_.substr(at + opens.size(), end - at - opens.size());
      if (refused_by("notice.template.placeholder", std::find(known.begin(), known.end(), name) == known.end())) {
        std::string names;
        for (const auto each : known) names += (names.empty() ? "" : ", ") + std::string(each);
        return refuse(at, "unknown placeholder {{" + std::string(name.substr(0, 64)) + "}}; known here: " + names);
      }
      at = end + closes.size();
    }
    return {};
  }
  /// Who reads a code and a link in one message, reads both where one is read: they go apart.
  [[nodiscard]] Status check_apart(Kind kind) const {
    if (kind != Kind::activation_code) return {};
    std::string lower(text_);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (const std::string_view sign : {"://", "www."}) {
      const auto at = lower.find(sign);
      if (refused_by("notice.template.apart", at != std::string::npos)) return refuse(at, "a link in the text that announces a code");
    }
    return {};
  }
  [[nodiscard]] Result<Text> split() const {
    const auto line_end = text_.find('\n');
    if (!text_.starts_with(subject_begins) || line_end == std::string_view::npos || line_end == subject_begins.size())
      return refuse(0, "the first line is not `Subject: ` and a subject");
    if (!text_.substr(line_end + 1).starts_with('\n')) return refuse(line_end + 1, "the second line is not empty");
    const auto body = text_.substr(line_end + 2);
    if (body.empty()) return refuse(text_.size(), "no text");
    return Text{std::string(text_.substr(subject_begins.size(), line_end - subject_begins.size())), std::string(body)};
  }

 private:
  const std::filesystem::path& path_;
  std::string_view text_;
};

Result<Text> read(const std::filesystem::path& path, Kind kind) {
  const auto content = read_file(path, max_file);
  if (!content) return Error{ErrorCode::configuration, path.string() + ": " + content.error().detail};
  const Reading reading(path, as_text(*content));
  if (auto octets = reading.check_octets(); !octets) return octets.error();
  if (auto placeholders = reading.check_placeholders(kind); !placeholders) return placeholders.error();
  if (auto apart = reading.check_apart(kind); !apart) return apart.error();
  return reading.split();
}

Result<std::string> fill(std::string_view text, const Values& values) {
  std::string filled;
  for (auto at = text.find(opens); at != std::string_view::npos; at = text.find(opens)) {
    const auto end = text.find(closes, at);
    const auto value = end == std::string_view::npos ? values.end() : values.find(text.substr(at + opens.size(), end - at - opens.size()));
    if (value == values.end()) return Error{ErrorCode::invalid_request, "a placeholder without a value"};
    filled.append(text.substr(0, at)).append(value->second);
    text.remove_prefix(end + closes.size());
  }
  return filled.append(text);
}

}  // namespace

Result<Templates> Templates::load(const std::filesystem::path& folder) {
  Templates templates;
  for (const auto kind : all_kinds) {
    for (const auto language : languages) {
      auto text = read(folder / (std::string(name_of(kind)) + "." + std::string(language) + ".txt"), kind);
      if (!text) return text.error();
      templates.texts_.emplace(std::pair(kind, std::string(language)), std::move(*text));
    }
  }
  return templates;
}

Result<Text> Templates::render(Kind kind, std::string_view language, const Values& values) const {
  const auto found = texts_.find(std::pair(kind, std::string(language)));
  if (found == texts_.end()) return Error{ErrorCode::invalid_request, "no template in this language"};
  for (const auto& [name, value] : values) {
    const bool control = std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (refused_by("notice.value", control || value.size() > max_value))
      return Error{ErrorCode::invalid_request, "the value of " + name + " has a control character, or is too long"};
  }
  auto subject = fill(found->second.subject, values);
  if (!subject) return subject.error();
  auto body = fill(found->second.body, values);
  if (!body) return body.error();
  return Text{std::move(*subject), std::move(*body)};
}

}  // namespace intaglio::notice
