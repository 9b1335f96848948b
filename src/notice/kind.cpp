#include "notice/kind.h"

#include <algorithm>

#include "base/panic.h"

namespace intaglio::notice {
namespace {

struct Line {
  Kind kind;
  std::string_view name;
  std::array<std::string_view, 2> facts;
  bool warning;
};
constexpr std::array<Line, all_kinds.size()> lines{{
    {Kind::enrolment_link, "enrolment_link", {"until"}, false},
    {Kind::activation_code, "activation_code", {"until"}, false},
    {Kind::certificate_issued, "certificate_issued", {"credential", "ends"}, false},
    {Kind::certificate_ends_30, "certificate_ends_30", {"credential", "ends"}, false},
    {Kind::certificate_ends_7, "certificate_ends_7", {"credential", "ends"}, false},
    {Kind::suspended, "suspended", {"credential", "at"}, true},
    {Kind::revoked, "revoked", {"credential", "at"}, true},
    {Kind::secret_changed, "secret_changed", {"at"}, true},
    {Kind::secret_locked, "secret_locked", {"at"}, true},
}};

const Line& line_of(Kind kind) noexcept {
  const auto at = static_cast<std::size_t>(kind);
  if (at >= lines.size() || lines.at(at).kind != kind) panic("notice: a kind outside its set");
  return lines.at(at);
}

}  // namespace

std::string_view name_of(Kind kind) noexcept { return line_of(kind).name; }

std::optional<Kind> parse_kind(std::string_view name) noexcept {
  const auto* found = std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.name == name; });
  return found == lines.end() ? std::nullopt : std::optional<Kind>(found->kind);
}

std::vector<std::string_view> facts_of(Kind kind) {
  std::vector<std::string_view> facts;
  for (const auto fact : line_of(kind).facts) {
    if (!fact.empty()) facts.push_back(fact);
  }
  return facts;
}

std::vector<std::string_view> placeholders_of(Kind kind) {
  auto names = facts_of(kind);
  names.insert(names.end(), {"contact", "service"});
  if (kind == Kind::enrolment_link) names.push_back("link");
  std::sort(names.begin(), names.end());
  return names;
}

bool is_warning(Kind kind) noexcept { return line_of(kind).warning; }

std::string_view name_of(Channel channel) noexcept { return channel == Channel::mail ? "mail" : "webhook"; }

std::optional<Channel> parse_channel(std::string_view name) noexcept {
  for (const auto channel : all_channels) {
    if (name == name_of(channel)) return channel;
  }
  return std::nullopt;
}

}  // namespace intaglio::notice
