#include "admin/effect.h"

namespace intaglio::cli {
namespace {

/// A text without its quotes.
std::string plain(std::string_view text) {
  const auto quoted = in_ascii(json::Value(text));
  return quoted.substr(1, quoted.size() - 2);
}

std::string told(const json::Value& user, const char* name) {
  const auto* member = json::member(user, name);
  if (member == nullptr) return "?";
  return member->is_string() ? plain(member->get<std::string>()) : in_ascii(*member);
}

}  // namespace

std::string in_ascii(const json::Value& value, int indent) { return value.dump(indent, ' ', true, json::Value::error_handler_t::replace); }

std::string describe_user(const json::Value& users, std::string_view id) {
  const auto* list = json::member(users, "users");
  if (list != nullptr && list->is_array()) {
    for (const auto& user : *list) {
      const auto* found = json::member(user, "id");
      if (found == nullptr || *found != id) continue;
      std::string roles;
      const auto* held = json::member(user, "roles");
      if (held != nullptr && held->is_array()) {
        for (const auto& role : *held)
          roles.append(roles.empty() ? "" : " ").append(role.is_string() ? plain(role.get<std::string>()) : in_ascii(role));
      }
      const auto* suspended = json::member(user, "suspended");
      const bool active = suspended != nullptr && *suspended == false;
      return plain(id) + " now: " + told(user, "person") + ", " + roles + ", key " + told(user, "key") +
             (active ? ", active" : ", suspended");
    }
  }
  return plain(id) + " now: there is no such user";
}

Result<std::vector<std::string>> changes_between(std::string_view before, std::string_view after) {
  auto old_value = json::parse(before);
  if (!old_value) return old_value.error();
  auto new_value = json::parse(after);
  if (!new_value) return new_value.error();
  const auto old_flat = old_value->flatten();
  const auto new_flat = new_value->flatten();
  std::vector<std::string> lines;
  const auto say_line = [&](char sign, const std::string& where, const json::Value& value) {
    lines.push_back(std::string(1, sign) + ' ' + plain(where) + ": " + in_ascii(value));
  };
  for (const auto& [where, value] : old_flat.items()) {
    const auto now = new_flat.find(where);
    if (now != new_flat.end() && *now == value) continue;
    say_line('-', where, value);
    if (now != new_flat.end()) say_line('+', where, *now);
  }
  for (const auto& [where, value] : new_flat.items()) {
    if (!old_flat.contains(where)) say_line('+', where, value);
  }
  return lines;
}

}  // namespace intaglio::cli
