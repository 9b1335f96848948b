#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Privileged roles and what each may do (TC-13; EN 419 241-1, SRG_M.1).
namespace intaglio::sam {

/// The four privileged roles (SRG_M.1.2). There is no other, and nobody has one by default.
enum class Role : std::uint8_t { security_officer = 1, system_administrator = 2, system_operator = 3, system_auditor = 4 };
inline constexpr std::size_t role_count = 4;
[[nodiscard]] std::string_view name_of(Role role) noexcept;  ///< "security-officer", …
[[nodiscard]] Result<Role> parse_role(std::string_view name);

/// What one person may be at once. Only a set without incompatible roles exists: it is checked when it is made, so at assignment
/// and again whenever a record is read, at login (SRG_M.1.4, 1.6, 1.7).
class RoleSet {
 public:
  /// `conflict` when the roles exclude each other: officer and auditor each exclude every other role. Administrator and operator may
  /// be one person (003, 4.5.1). `invalid_request` when there is none or one twice.
  [[nodiscard]] static Result<RoleSet> make(const std::vector<Role>& roles);
  [[nodiscard]] bool holds(Role role) const noexcept;
  [[nodiscard]] const std::vector<Role>& roles() const noexcept { return roles_; }
  [[nodiscard]] bool operator==(const RoleSet&) const = default;

 private:
  explicit RoleSet(std::vector<Role> roles) : roles_(std::move(roles)) {}
  std::vector<Role> roles_;  ///< in the order of the enumeration
};
/// Whether one person may have both.
[[nodiscard]] bool compatible(Role one, Role other) noexcept;

}  // namespace intaglio::sam
