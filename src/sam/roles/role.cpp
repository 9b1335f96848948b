#include "sam/roles/role.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/panic.h"

namespace intaglio::sam {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, role_count> names{{{Role::security_officer, "security-officer"},
                                                                           {Role::system_administrator, "system-administrator"},
                                                                           {Role::system_operator, "system-operator"},
                                                                           {Role::system_auditor, "system-auditor"}}};

}  // namespace

std::string_view name_of(Role role) noexcept {
  for (const auto& [known, name] : names) {
    if (known == role) return name;
  }
  panic("a role outside its enumeration");
}

Result<Role> parse_role(std::string_view name) {
  for (const auto& [role, known] : names) {
    if (known == name) return role;
  }
  return Error{ErrorCode::invalid_request, "not a role: " + std::string(name) +
                                               "; the roles are security-officer, system-administrator, system-operator, system-auditor"};
}

bool compatible(Role one, Role other) noexcept {
  const auto manages = [](Role role) { return role == Role::system_administrator || role == Role::system_operator; };
  return one == other || (manages(one) && manages(other));
}

Result<RoleSet> RoleSet::make(const std::vector<Role>& roles) {
  if (roles.empty()) return Error{ErrorCode::invalid_request, "a privileged user has at least one role"};
  auto sorted = roles;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return Error{ErrorCode::invalid_request,
                 "a role stands twice: " + std::string(name_of(*std::adjacent_find(sorted.begin(), sorted.end())))};
  for (auto one = sorted.begin(); one != sorted.end(); ++one) {
    const auto other = std::find_if(one, sorted.end(), [&](Role role) { return !compatible(*one, role); });
    if (refused_by("sam.roles.compatible", other != sorted.end())) {
      return Error{ErrorCode::conflict, "one person cannot be " + std::string(name_of(*one)) + " and " + std::string(name_of(*other))};
    }
  }
  return RoleSet(std::move(sorted));
}

bool RoleSet::holds(Role role) const noexcept { return std::find(roles_.begin(), roles_.end(), role) != roles_.end(); }

}  // namespace intaglio::sam
