#pragma once

#include <span>

#include "sam/roles/role.h"

namespace intaglio::sam {

/// Everything that a privileged user can ask of the SAM. None of it reaches a signer's key to sign with it (TC-7).
enum class Operation : std::uint8_t {
  show_status,
  show_users,
  show_policy,
  show_proposals,
  show_proposal,
  read_audit,
  suspend_user,
  add_user,
  change_roles,
  resume_user,
  install_policy,
  restore,
};

/// Who executes an operation, and who must have agreed before (003, 4.5.1: an administrator executes, a security officer observes).
struct Rule {
  Operation operation;
  std::string_view name;           ///< on the wire and in the audit log: "add-user"
  std::vector<Role> executors;     ///< any of these roles
  std::vector<Role> observers;     ///< empty: one person is enough; else the operation goes by a proposal
  std::string_view meaning;
};
/// Every operation once, in the order of the enumeration.
[[nodiscard]] std::span<const Rule> rules();
[[nodiscard]] const Rule& rule_of(Operation operation) noexcept;
/// `invalid_request` names the operations that there are.
[[nodiscard]] Result<Operation> parse_operation(std::string_view name);
[[nodiscard]] bool needs_quorum(const Rule& rule) noexcept;
/// `not_authorised` unless one of the roles may execute, or observe.
[[nodiscard]] Status may_execute(const RoleSet& roles, const Rule& rule);
[[nodiscard]] Status may_observe(const RoleSet& roles, const Rule& rule);

}  // namespace intaglio::sam
