#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "sam/roles/proposals.h"

namespace intaglio::sam {
namespace {

constexpr std::array every_role{Role::security_officer, Role::system_administrator, Role::system_operator, Role::system_auditor};
const UnixTime now = from_unix_seconds(1'795'000'000);

template <typename R>
void expect_refused(const R& result, ErrorCode expected) {
  ASSERT_FALSE(result) << "was not refused";
  EXPECT_EQ(name_of(result.error().code), name_of(expected)) << result.error().detail;
}

PrivilegedUser make_user(const std::string& id, const std::vector<Role>& roles, const std::string& person = {}) {
  return {.id = *UserId::parse(id),
          .person = person.empty() ? "PNOGR-" + id : person,
          .roles = *RoleSet::make(roles),
          .key = (*crypto::SoftwareKey::generate())->public_key(),
          .last_seen = now};
}

/// What no person may be at once, written down apart from the code (EN 419 241-1, SRG_M.1.4 to 1.7; 003, 4.5.1).
bool forbidden(const std::set<Role>& roles) {
  if (roles.size() < 2) return false;
  return roles.contains(Role::security_officer) || roles.contains(Role::system_auditor);
}

TEST(Role, EveryNameReadsBackAndNoOtherDoes) {
  for (const auto role : every_role) EXPECT_EQ(*parse_role(name_of(role)), role);
  for (const auto* name : {"", "root", "Security-Officer", "security-officer ", "administrator"})
    expect_refused(parse_role(name), ErrorCode::invalid_request);
}

TEST(RoleSet, OfficerAndAuditorExcludeEveryOtherRole) {
  for (const auto one : every_role) {
    for (const auto other : every_role) {
      if (one == other) continue;
      const auto made = RoleSet::make({one, other});
      EXPECT_EQ(static_cast<bool>(made), !forbidden({one, other})) << name_of(one) << " and " << name_of(other);
      if (made) continue;
      EXPECT_EQ(made.error().code, ErrorCode::conflict);
    }
  }
}

TEST(RoleSet, NobodyHasNoRoleAndNoRoleTwice) {
  expect_refused(RoleSet::make({}), ErrorCode::invalid_request);
  expect_refused(RoleSet::make({Role::system_operator, Role::system_operator}), ErrorCode::invalid_request);
}

RC_GTEST_PROP(RoleSet, NoSequenceOfAssignmentsReachesAForbiddenSet, ()) {
  // Every user is added, changed and changed again with whatever roles; what stands afterwards is looked at by person.
  const auto steps = *rc::gen::container<std::vector<std::pair<int, std::vector<int>>>>(
      rc::gen::pair(rc::gen::inRange(0, 6), rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4))));
  static const auto keys = [] {
    std::vector<crypto::PublicKey> made;
    for (int i = 0; i < 6; ++i) made.push_back((*crypto::SoftwareKey::generate())->public_key());
    return made;
  }();
  PrivilegedUsers users;
  for (const auto& [who, wanted] : steps) {
    std::vector<Role> roles;
    for (const auto index : wanted) roles.push_back(every_role.at(static_cast<std::size_t>(index)));
    auto set = RoleSet::make(roles);
    if (!set) continue;
    const auto id = "user-" + std::to_string(who);
    // Two accounts for each of three persons are tried.
    const auto person = "PNOGR-" + std::to_string(who / 2);
    if (auto* existing = users.find(id)) {
      existing->roles = *set;
    } else {
      static_cast<void>(users.add(
          {.id = *UserId::parse(id), .person = person, .roles = *set, .key = keys.at(static_cast<std::size_t>(who)), .last_seen = now}));
    }
  }
  std::map<std::string, std::set<Role>> held;
  for (const auto& user : users.all()) held[user.person].insert(user.roles.roles().begin(), user.roles.roles().end());
  for (const auto& [person, roles] : held) RC_ASSERT(!forbidden(roles));
}

TEST(RoleMatrix, IsTheFrozenOne) {
  std::string text;
  for (const auto& rule : rules()) {
    text.append(rule.name).append(": ");
    for (const auto role : every_role) {
      const auto set = *RoleSet::make({role});
      const bool executes = static_cast<bool>(may_execute(set, rule));
      const bool observes = static_cast<bool>(may_observe(set, rule));
      text.append(name_of(role)).append(executes ? " executes" : observes ? " observes" : " -");
      text.append(role == Role::system_auditor ? "\n" : ", ");
      EXPECT_FALSE(executes && observes) << rule.name;
    }
    EXPECT_EQ(*parse_operation(rule.name), rule.operation);
  }
  const auto frozen = read_file(INTAGLIO_SOURCE_DIR "/tests/data/roles/matrix.txt", 16 * 1024);
  ASSERT_TRUE(frozen);
  EXPECT_EQ(text, as_text(*frozen)) << "a change of the matrix is a decision: change tests/data/roles/matrix.txt with it";
}

TEST(RoleMatrix, OfficersExecuteNothingThatNeedsTwoPersonsAndAuditorsNeverDo) {
  for (const auto& rule : rules()) {
    if (!needs_quorum(rule)) continue;
    expect_refused(may_execute(*RoleSet::make({Role::security_officer}), rule), ErrorCode::not_authorised);
    for (const auto role : {Role::system_auditor, Role::system_operator}) {
      expect_refused(may_execute(*RoleSet::make({role}), rule), ErrorCode::not_authorised);
      expect_refused(may_observe(*RoleSet::make({role}), rule), ErrorCode::not_authorised);
    }
    expect_refused(may_observe(*RoleSet::make({Role::system_administrator}), rule), ErrorCode::not_authorised);
  }
}

TEST(PrivilegedUsers, OnePersonHasOneAccountAndOneKey) {
  PrivilegedUsers users;
  const auto first = make_user("adm-1", {Role::system_administrator});
  ASSERT_TRUE(users.add(first));
  expect_refused(users.add(make_user("adm-1", {Role::system_operator})), ErrorCode::conflict);
  expect_refused(users.add(make_user("off-1", {Role::security_officer}, first.person)), ErrorCode::conflict);
  auto same_key = make_user("off-1", {Role::security_officer});
  same_key.key = first.key;
  expect_refused(users.add(same_key), ErrorCode::conflict);
  EXPECT_EQ(users.all().size(), 1U);
}

TEST(PrivilegedUsers, ReadBackWhatWasWritten) {
  PrivilegedUsers users;
  auto one = make_user("adm-1", {Role::system_administrator, Role::system_operator});
  one.failures = 3;
  one.locked_until = 1'795'000'900;
  auto other = make_user("off-1", {Role::security_officer});
  other.suspended = true;
  ASSERT_TRUE(users.add(one));
  ASSERT_TRUE(users.add(other));
  const auto encoded = users.encode();
  const auto read = PrivilegedUsers::parse(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->encode(), encoded);
  EXPECT_TRUE(read->find("adm-1")->roles.holds(Role::system_operator));
  EXPECT_TRUE(read->find("off-1")->suspended);
  for (std::size_t length = 0; length < encoded.size(); ++length)
    EXPECT_FALSE(PrivilegedUsers::parse(ByteView(encoded).first(length))) << length;
}

TEST(PrivilegedUsers, ARecordWithIncompatibleRolesIsRefused) {
  PrivilegedUsers users;
  ASSERT_TRUE(users.add(make_user("adm-1", {Role::system_administrator, Role::system_operator})));
  auto encoded = users.encode();
  // The operator becomes an auditor: both names have the same length but one octet, so the field is written anew.
  Bytes from, to;
  append_field(from, name_of(Role::system_operator));
  append_field(to, name_of(Role::system_auditor));
  const auto at = std::search(encoded.begin(), encoded.end(), from.begin(), from.end());
  ASSERT_NE(at, encoded.end());
  const auto where = at - encoded.begin();
  encoded.erase(at, at + static_cast<std::ptrdiff_t>(from.size()));
  encoded.insert(encoded.begin() + where, to.begin(), to.end());
  expect_refused(PrivilegedUsers::parse(encoded), ErrorCode::conflict);
}

TEST(PrivilegedUsers, TheFirstOnesAreAnAdministratorAndAnOfficer) {
  const auto entry = [](const std::string& id, const std::string& role) {
    const auto key = *crypto::SoftwareKey::generate();
    return json::Value{{"id", id},
                       {"person", "PNOGR-" + id},
                       {"roles", json::Value::array({role})},
                       {"jwk", *json::parse(*crypto::encode_jwk(key->public_key()))}};
  };
  const auto parse = [&](const json::Value& list) { return PrivilegedUsers::parse_first(json::encode(list), now); };
  const auto admin = entry("adm-1", "system-administrator");
  const auto officer = entry("off-1", "security-officer");
  EXPECT_TRUE(parse(json::Value::array({admin, officer})));
  expect_refused(parse(json::Value::array({admin})), ErrorCode::configuration);
  expect_refused(parse(json::Value::array({officer, entry("aud-1", "system-auditor")})), ErrorCode::configuration);
  auto same_person = officer;
  same_person["person"] = admin["person"];
  expect_refused(parse(json::Value::array({admin, same_person})), ErrorCode::configuration);
  for (const auto* missing : {"id", "person", "roles", "jwk"}) {
    auto broken = officer;
    broken.erase(missing);
    const auto refused = parse(json::Value::array({admin, broken}));
    expect_refused(refused, ErrorCode::configuration);
    EXPECT_NE(refused.error().detail.find(missing), std::string::npos) << refused.error().detail;
  }
  auto unknown = officer;
  unknown["password"] = "x";
  expect_refused(parse(json::Value::array({admin, unknown})), ErrorCode::configuration);
}

TEST(PrivilegedUsers, TheLastAdministratorAndTheLastOfficerStay) {
  PrivilegedUsers users;
  ASSERT_TRUE(users.add(make_user("adm-1", {Role::system_administrator})));
  ASSERT_TRUE(users.add(make_user("off-1", {Role::security_officer})));
  EXPECT_TRUE(users.check_staffed());
  users.find("off-1")->suspended = true;
  expect_refused(users.check_staffed(), ErrorCode::conflict);
  users.find("off-1")->suspended = false;
  users.find("adm-1")->roles = *RoleSet::make({Role::system_operator});
  expect_refused(users.check_staffed(), ErrorCode::conflict);
}

class ProposalTest : public ::testing::Test {
 protected:
  PrivilegedUser admin_ = make_user("adm-1", {Role::system_administrator});
  PrivilegedUser officer_ = make_user("off-1", {Role::security_officer});
  Proposal proposal_{.id = "0123456789abcdefghijkl",
                     .operation = Operation::change_roles,
                     .payload = R"({"id":"ope-1","roles":["system-operator"]})",
                     .proposed_by = admin_.id,
                     .proposer = admin_.person,
                     .made = now,
                     .ends = now + std::chrono::hours(24),
                     .state = ProposalState::made,
                     .approved_by = {}};
};

TEST_F(ProposalTest, ReadsBackWhatWasWritten) {
  const auto encoded = encode(proposal_);
  const auto read = parse_proposal(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  EXPECT_EQ(digest_of(*read), digest_of(proposal_));
  for (std::size_t length = 0; length < encoded.size(); ++length) EXPECT_FALSE(parse_proposal(ByteView(encoded).first(length))) << length;
}

TEST_F(ProposalTest, AnOfficerApprovesAndAnAdministratorExecutes) {
  const auto digest = digest_of(proposal_);
  ASSERT_TRUE(check_approval(proposal_, officer_, digest, now));
  proposal_.state = ProposalState::approved;
  proposal_.approved_by = officer_.id.text();
  EXPECT_TRUE(check_execution(proposal_, admin_, digest, now));
}

TEST_F(ProposalTest, ExecutorAndObserverDoNotSwap) {
  const auto digest = digest_of(proposal_);
  const auto other_admin = make_user("adm-2", {Role::system_administrator});
  expect_refused(check_approval(proposal_, other_admin, digest, now), ErrorCode::not_authorised);
  proposal_.state = ProposalState::approved;
  proposal_.approved_by = officer_.id.text();
  const auto other_officer = make_user("off-2", {Role::security_officer});
  expect_refused(check_execution(proposal_, other_officer, digest, now), ErrorCode::not_authorised);
}

TEST_F(ProposalTest, WhoProposedDoesNotObserveNotEvenInAnotherRoleOrAccount) {
  const auto digest = digest_of(proposal_);
  auto now_officer = admin_;
  now_officer.roles = *RoleSet::make({Role::security_officer});
  expect_refused(check_approval(proposal_, now_officer, digest, now), ErrorCode::not_authorised);
  expect_refused(check_approval(proposal_, make_user("off-2", {Role::security_officer}, admin_.person), digest, now),
                 ErrorCode::not_authorised);
}

TEST_F(ProposalTest, WhoObservedDoesNotExecuteInAnotherRole) {
  proposal_.state = ProposalState::approved;
  proposal_.approved_by = officer_.id.text();
  auto now_admin = officer_;
  now_admin.roles = *RoleSet::make({Role::system_administrator});
  expect_refused(check_execution(proposal_, now_admin, digest_of(proposal_), now), ErrorCode::not_authorised);
}

TEST_F(ProposalTest, EachStepIsOnce) {
  const auto digest = digest_of(proposal_);
  expect_refused(check_execution(proposal_, admin_, digest, now), ErrorCode::not_authorised);
  proposal_.state = ProposalState::approved;
  proposal_.approved_by = officer_.id.text();
  expect_refused(check_approval(proposal_, make_user("off-2", {Role::security_officer}), digest, now), ErrorCode::replayed);
  proposal_.state = ProposalState::executed;
  expect_refused(check_execution(proposal_, admin_, digest, now), ErrorCode::replayed);
}

TEST_F(ProposalTest, ExpiresBetweenAnyTwoSteps) {
  const auto digest = digest_of(proposal_);
  expect_refused(check_approval(proposal_, officer_, digest, proposal_.ends), ErrorCode::ticket_expired);
  proposal_.state = ProposalState::approved;
  proposal_.approved_by = officer_.id.text();
  EXPECT_TRUE(check_execution(proposal_, admin_, digest, proposal_.ends - std::chrono::seconds(1)));
  expect_refused(check_execution(proposal_, admin_, digest, proposal_.ends), ErrorCode::ticket_expired);
}

TEST_F(ProposalTest, WhatWasAlteredIsAnotherProposal) {
  const auto digest = digest_of(proposal_);
  const auto differs = [&](auto&& alter) {
    auto altered = proposal_;
    alter(altered);
    expect_refused(check_approval(altered, officer_, digest, now), ErrorCode::binding_mismatch);
    altered.state = ProposalState::approved;
    altered.approved_by = officer_.id.text();
    expect_refused(check_execution(altered, admin_, digest, now), ErrorCode::binding_mismatch);
  };
  differs([](Proposal& altered) { altered.payload = R"({"id":"ope-1","roles":["system-administrator"]})"; });
  differs([](Proposal& altered) { altered.operation = Operation::add_user; });
  differs([](Proposal& altered) { altered.id = "0123456789abcdefghijkm"; });
  expect_refused(check_approval(proposal_, officer_, {}, now), ErrorCode::binding_mismatch);
}

}  // namespace
}  // namespace intaglio::sam
