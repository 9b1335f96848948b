#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "sam/roles/members.h"
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

/// adm-1 is PNOGR-ADM1.
std::string person_of(std::string_view id) {
  std::string person = "PNOGR-";
  for (const char c : id) {
    if (c != '-') person += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return person;
}

PrivilegedUser make_user(const std::string& id, const std::vector<Role>& roles, const std::string& person = {}) {
  return {.id = *UserId::parse(id),
          .person = person.empty() ? person_of(id) : person,
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
  other.salt = "salt";
  other.generation = 7;
  ASSERT_TRUE(users.add(one));
  ASSERT_TRUE(users.add(other));
  const auto encoded = users.encode();
  const auto read = PrivilegedUsers::parse(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->encode(), encoded);
  EXPECT_TRUE(read->find("adm-1")->roles.holds(Role::system_operator));
  EXPECT_TRUE(read->find("off-1")->suspended);
  EXPECT_EQ(read->find("off-1")->standing(), other.standing());
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
                       {"person", person_of(id)},
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

TEST(PrivilegedUsers, AnAbleOneOfEachRoleStaysThroughEveryChange) {
  constexpr std::chrono::hours max_idle{90 * 24};
  PrivilegedUsers users;
  ASSERT_TRUE(users.add(make_user("adm-1", {Role::system_administrator})));
  ASSERT_TRUE(users.add(make_user("off-1", {Role::security_officer})));
  ASSERT_TRUE(users.add(make_user("off-2", {Role::security_officer})));
  ASSERT_TRUE(users.add(make_user("ope-1", {Role::system_operator})));
  const auto without = [&](const std::string& id) {
    auto changed = users;
    changed.find(id)->suspend();
    return users.check_stays_staffed(changed, max_idle, now);
  };
  EXPECT_TRUE(without("off-1"));
  expect_refused(without("adm-1"), ErrorCode::conflict);
  // One who may not log in is not the one who stays.
  users.find("off-2")->last_seen = now - max_idle - std::chrono::hours(1);
  expect_refused(without("off-1"), ErrorCode::conflict);
  EXPECT_TRUE(without("off-2"));
  EXPECT_TRUE(without("ope-1"));
  auto other_roles = users;
  other_roles.find("off-1")->change_roles(*RoleSet::make({Role::system_auditor}));
  expect_refused(users.check_stays_staffed(other_roles, max_idle, now), ErrorCode::conflict);
}

TEST(PrivilegedUsers, TimeAloneTakesNoQuorumAway) {
  constexpr std::chrono::hours max_idle{90 * 24};
  const auto long_after = now + max_idle + std::chrono::hours(1);
  PrivilegedUsers users;
  for (const auto* id : {"off-1", "off-2"}) ASSERT_TRUE(users.add(make_user(id, {Role::security_officer})));
  ASSERT_TRUE(users.add(make_user("adm-1", {Role::system_administrator})));
  ASSERT_TRUE(users.add(make_user("aud-1", {Role::system_auditor})));
  const auto idle = [&](const char* id) { return users.idle(*users.find(id), max_idle, long_after); };
  EXPECT_TRUE(idle("aud-1"));
  EXPECT_FALSE(idle("adm-1"));
  EXPECT_FALSE(idle("off-1"));
  EXPECT_FALSE(idle("off-2"));
  users.find("off-1")->last_seen = long_after;
  EXPECT_TRUE(idle("off-2")) << "there is an officer again";
  users.find("off-1")->suspend();
  EXPECT_FALSE(idle("off-2"));
}

TEST(PrivilegedUsers, APersonHasOneSpelling) {
  for (const auto* good : {"PNOGR-012345678", "TINBE-12345678", "PASSK-P3000180", "IDCBE-590082394654", "TAXDE-1"})
    EXPECT_TRUE(check_person(good)) << good;
  for (const auto* bad : {"", "Ada", "PNOgr-012345678", "pnogr-012345678", "PNOGR-01234567a", "PNOGR-0123 45678", "PNOGR-0123-45678",
                          "PNOGR012345678", "PNOGR-", "ABCGR-1", "PNO12-1", "PNOGR-1\u00e9"})
    expect_refused(check_person(bad), ErrorCode::invalid_request);
  EXPECT_TRUE(check_person("PNOGR-" + std::string(122, '1')));
  expect_refused(check_person("PNOGR-" + std::string(123, '1')), ErrorCode::invalid_request);
}

TEST(PrivilegedUsers, TheLogNamesAPersonByASaltedCommitment) {
  auto user = make_user("adm-1", {Role::system_administrator});
  user.salt = "0123456789abcdefghijkl";
  Bytes input;
  for (const std::string_view part : {"intaglio/person/1", "0123456789abcdefghijkl", "PNOGR-ADM1"}) append_field(input, part);
  const auto event = user_added(user, "user:adm-2", "proposal-1");
  ASSERT_TRUE(event);
  EXPECT_TRUE(audit::check_fields(*event));
  EXPECT_NE(std::find(event->fields.begin(), event->fields.end(),
                      std::pair<std::string, std::string>("person", encode_base64url(crypto::sha256(input)))),
            event->fields.end());
}

TEST(Bounded, CutsBetweenCharacters) {
  EXPECT_EQ(bounded("abcd", 4), "abcd");
  EXPECT_EQ(bounded("abcde", 4), "abcd…");
  EXPECT_EQ(bounded("abc\u00e9", 4), "abc…");
  EXPECT_EQ(bounded(std::string(10'000, 'x'), 64).size(), 67U);
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
                     .maker = admin_.standing(),
                     .made = now,
                     .ends = now + std::chrono::hours(24),
                     .state = ProposalState::made,
                     .approved_by = {}};

  void approved_by_the_officer() {
    proposal_.state = ProposalState::approved;
    proposal_.approved_by = officer_.id.text();
    proposal_.approver = officer_.standing();
  }
  Status execution_by(const PrivilegedUser& executor, UnixTime at = now) {
    return execution_by(executor, proposal_, digest_of(proposal_), at);
  }
  Status execution_by(const PrivilegedUser& executor, const Proposal& proposal, ByteView digest, UnixTime at) {
    PrivilegedUsers users;
    EXPECT_TRUE(users.add(admin_));
    EXPECT_TRUE(users.add(officer_));
    return check_execution(proposal, users, executor, digest, at);
  }
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
  approved_by_the_officer();
  EXPECT_TRUE(execution_by(admin_));
}

TEST_F(ProposalTest, ExecutorAndObserverDoNotSwap) {
  const auto digest = digest_of(proposal_);
  const auto other_admin = make_user("adm-2", {Role::system_administrator});
  expect_refused(check_approval(proposal_, other_admin, digest, now), ErrorCode::not_authorised);
  approved_by_the_officer();
  const auto other_officer = make_user("off-2", {Role::security_officer});
  expect_refused(execution_by(other_officer), ErrorCode::not_authorised);
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
  approved_by_the_officer();
  auto now_admin = officer_;
  now_admin.roles = *RoleSet::make({Role::system_administrator});
  expect_refused(execution_by(now_admin), ErrorCode::not_authorised);
}

TEST_F(ProposalTest, WhatItsMakerOrObserverAgreedToEndsWithWhatTheyWere) {
  const std::vector<std::function<void(PrivilegedUser&)>> changes = {
      [](PrivilegedUser& user) { user.suspend(); },
      [](PrivilegedUser& user) {
        user.suspend();
        user.resume(user.key, now);
      },
      [](PrivilegedUser& user) {
        const auto roles = user.roles;
        user.change_roles(*RoleSet::make({Role::system_operator}));
        user.change_roles(roles);
      },
      [](PrivilegedUser& user) { user.key = (*crypto::SoftwareKey::generate())->public_key(); }};
  approved_by_the_officer();
  ASSERT_TRUE(execution_by(admin_));
  for (auto* of : {&admin_, &officer_}) {
    for (const auto& change : changes) {
      const auto before = *of;
      change(*of);
      expect_refused(execution_by(make_user("adm-2", {Role::system_administrator})), ErrorCode::not_authorised);
      *of = before;
    }
  }
  EXPECT_TRUE(execution_by(make_user("adm-2", {Role::system_administrator})));
}

TEST_F(ProposalTest, EachStepIsOnce) {
  const auto digest = digest_of(proposal_);
  approved_by_the_officer();
  proposal_.state = ProposalState::made;
  expect_refused(execution_by(admin_), ErrorCode::not_authorised);
  proposal_.state = ProposalState::approved;
  expect_refused(check_approval(proposal_, make_user("off-2", {Role::security_officer}), digest, now), ErrorCode::replayed);
  proposal_.state = ProposalState::executed;
  expect_refused(execution_by(admin_), ErrorCode::replayed);
}

TEST_F(ProposalTest, ExpiresBetweenAnyTwoSteps) {
  const auto digest = digest_of(proposal_);
  expect_refused(check_approval(proposal_, officer_, digest, proposal_.ends), ErrorCode::ticket_expired);
  approved_by_the_officer();
  EXPECT_TRUE(execution_by(admin_, proposal_.ends - std::chrono::seconds(1)));
  expect_refused(execution_by(admin_, proposal_.ends), ErrorCode::ticket_expired);
}

TEST_F(ProposalTest, WhatWasAlteredIsAnotherProposal) {
  const auto digest = digest_of(proposal_);
  const auto differs = [&](auto&& alter) {
    auto altered = proposal_;
    alter(altered);
    expect_refused(check_approval(altered, officer_, digest, now), ErrorCode::binding_mismatch);
    altered.state = ProposalState::approved;
    altered.approved_by = officer_.id.text();
    expect_refused(execution_by(admin_, altered, digest, now), ErrorCode::binding_mismatch);
  };
  differs([](Proposal& altered) { altered.payload = R"({"id":"ope-1","roles":["system-administrator"]})"; });
  differs([](Proposal& altered) { altered.operation = Operation::add_user; });
  differs([](Proposal& altered) { altered.id = "0123456789abcdefghijkm"; });
  expect_refused(check_approval(proposal_, officer_, {}, now), ErrorCode::binding_mismatch);
}

}  // namespace
}  // namespace intaglio::sam
