#include "sam/roles/matrix.h"

#include <algorithm>

#include "base/check.h"
#include "base/panic.h"

namespace intaglio::sam {
namespace {

constexpr auto officer = Role::security_officer;
constexpr auto administrator = Role::system_administrator;
constexpr auto operate = Role::system_operator;
constexpr auto auditor = Role::system_auditor;

bool holds_any(const RoleSet& roles, const std::vector<Role>& wanted) noexcept {
  return std::any_of(wanted.begin(), wanted.end(), [&](Role role) { return roles.holds(role); });
}

std::string listed(const std::vector<Role>& roles) {
  std::string out;
  for (const auto role : roles) out.append(out.empty() ? "" : ", ").append(name_of(role));
  return out;
}

}  // namespace

std::span<const Rule> rules() {
  static const std::vector<Rule> all = {
      {Operation::show_status, "show-status", {officer, administrator, operate, auditor}, {}, "State, counters and custody of this node."},
      {Operation::show_users, "show-users", {officer, administrator, auditor}, {}, "The privileged users and their roles, for review."},
      {Operation::show_policy, "show-policy", {officer, administrator, auditor}, {}, "The policy document in force."},
      {Operation::show_proposals,
       "show-proposals",
       {officer, administrator, auditor},
       {},
       "Proposals that wait, and what became of the last, without their content."},
      {Operation::show_proposal, "show-proposal", {officer, administrator, auditor}, {}, "One proposal with its content."},
      {Operation::read_audit, "read-audit", {auditor}, {}, "Entries of the audit log; that they were read is an entry itself."},
      {Operation::suspend_user,
       "suspend-user",
       {officer, administrator},
       {},
       "Another user can do nothing from now on: one person's word is enough for what fails safe."},
      {Operation::add_user, "add-user", {administrator}, {officer}, "A new privileged user."},
      {Operation::change_roles, "change-roles", {administrator}, {officer}, "Other roles for a user."},
      {Operation::resume_user,
       "resume-user",
       {administrator},
       {officer},
       "A suspended or locked user may act again, with a key that the proposal names."},
      {Operation::install_policy,
       "install-policy",
       {administrator},
       {officer},
       "Another policy document; each node obeys it from its next start."},
      {Operation::restore,
       "restore",
       {administrator},
       {officer},
       "A database of a backup is served from; offline, by a statement that both sign (docs/operate/backup.md)."},
  };
  return all;
}

const Rule& rule_of(Operation operation) noexcept {
  for (const auto& rule : rules()) {
    if (rule.operation == operation) return rule;
  }
  panic("an operation outside its enumeration");
}

Result<Operation> parse_operation(std::string_view name) {
  std::string known;
  for (const auto& rule : rules()) {
    if (rule.name == name) return rule.operation;
    known.append(known.empty() ? "" : ", ").append(rule.name);
  }
  return Error{ErrorCode::invalid_request, "not an operation; there are " + known};
}

bool needs_quorum(const Rule& rule) noexcept { return !rule.observers.empty(); }

Status may_execute(const RoleSet& roles, const Rule& rule) {
  if (refused_by("sam.roles.executor", !holds_any(roles, rule.executors)))
    return Error{ErrorCode::not_authorised, std::string(rule.name) + " is for: " + listed(rule.executors)};
  return {};
}

Status may_observe(const RoleSet& roles, const Rule& rule) {
  if (refused_by("sam.roles.observer", !holds_any(roles, rule.observers)))
    return Error{ErrorCode::not_authorised, std::string(rule.name) + " is observed by: " + listed(rule.observers)};
  return {};
}

}  // namespace intaglio::sam
