#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/password_hash.h"
#include "crypto/random.h"
#include "sam/management/management.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

namespace intaglio::sam {
namespace {

using json::Value;

class NoVault final : public custody::KeyVault {
 public:
  Result<crypto::PublicKey> generate(const KeyId&, crypto::KeyAlgorithm) override { return none(); }
  Result<Bytes> make_certificate_request(const KeyId&, const SignerId&, ByteView) override { return none(); }
  custody::VaultOutcome sign(custody::Activation, const crypto::PublicKey&) override {
    return {.signature = std::nullopt, .refusal = custody::VaultRefusal{none(), true}};
  }
  Status destroy(const KeyId&) override { return none(); }
  std::string key_authorisation() const override { return "emulated"; }

 private:
  static Error none() { return {ErrorCode::token_unavailable, "no management request reaches a key (TC-7)"}; }
};
class NoPepper final : public Pepper {
 public:
  Result<Secret> mac(ByteView) const override { return Error{ErrorCode::token_unavailable, "no pepper"}; }
  Result<Secret> lock_mac(ByteView) const override { return Error{ErrorCode::token_unavailable, "no pepper"}; }
};
class NoAgreementKeys final : public AgreementKeys {
 public:
  Result<std::shared_ptr<const crypto::KeyAgreement>> generate(std::string_view) override { return none(); }
  Result<std::shared_ptr<const crypto::KeyAgreement>> find(std::string_view) override { return none(); }
  Status destroy(std::string_view) override { return none(); }

 private:
  static Error none() { return {ErrorCode::token_unavailable, "no keys"}; }
};

struct User {
  std::string id;
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();

  [[nodiscard]] Value jwk() const { return *json::parse(*crypto::encode_jwk(key->public_key())); }
  [[nodiscard]] crypto::Sha256Digest peer() const { return crypto::sha256(key->public_key().spki()); }
  [[nodiscard]] Value entry(const std::vector<std::string>& roles) const {
    std::string person = "PNOGR-";
    for (const char c : id) {
      if (c != '-') person += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return {{"id", id}, {"person", person}, {"roles", roles}, {"jwk", jwk()}};
  }
};

Bytes self_signed_ca(const crypto::SoftwareKey& key, UnixTime now) {
  namespace der = crypto::der;
  const auto name = *crypto::encode_name({{"2.5.4.3", "Test CA"}});
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto extension = der::sequence({der::oid("2.5.29.19"), der::boolean(true), der::octet_string(der::sequence({der::boolean(true)}))});
  const auto tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(1), algorithm, name,
                                  der::sequence({der::time(now - std::chrono::hours(1)), der::time(now + std::chrono::hours(24 * 365))}),
                                  name, key.public_key().spki(), der::explicit_tag(3, der::sequence({extension}))});
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *key.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}

class ManagementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("intaglio-management-test-" + *crypto::random_id());
    std::filesystem::create_directories(folder_);
    policy_document_ = make_policy(1, true);
    auto policy = Policy::parse(policy_document_);
    ASSERT_TRUE(policy) << policy.error().detail;
    policy_.emplace(std::move(*policy));
    database_ = *storage::test::open_database(folder_ / "sam.db");
    ASSERT_TRUE(database_->migrate(database_migrations()));
    sealer_ = *sealed::open_testing_sealer(*database_, wrapping_key_, clock_, folder_ / "versions");
    log_ = *audit::Log::open({.origin = "intaglio/sam/test", .directory = folder_ / "audit", .anchor = folder_ / "anchor"}, *database_,
                             signing_key_, clock_);
    factors_ = std::make_unique<Factors>(*policy_, *database_, *log_, sealer_, pepper_, clock_);
    sap_keys_ = std::make_unique<SapKeys>("test", *database_, sealer_, agreement_keys_, signing_key_, clock_);
    const auto first = PrivilegedUsers::parse_first(
        json::encode(Value::array({admin_.entry({"system-administrator"}), officer_.entry({"security-officer"}),
                                   auditor_.entry({"system-auditor"}), operator_.entry({"system-operator"})})),
        clock_->now());
    ASSERT_TRUE(first) << first.error().detail;
    const UserRegistry registry(sealer_);
    const sealed::Table state(sealer_, "sam_state", sealed::Rollback::refused);
    ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
      if (auto installed = registry.install(transaction, *first); !installed) return installed;
      return state.insert(transaction, "policy", as_bytes(policy_document_));
    }));
    const auto revocations = std::make_shared<Revocations>();
    ASSERT_TRUE(revocations->load(*database_, sealer_, *policy_));
    management_ = std::make_unique<Management>(Core{.node = "test",
                                                    .incarnation = "test/1",
                                                    .name = "test",
                                                    .clock = clock_,
                                                    .database = *database_,
                                                    .sealer = sealer_,
                                                    .log = *log_,
                                                    .vault = vault_,
                                                    .locked_vault = nullptr,
                                                    .keys = custody::KeyStore(sealer_),
                                                    .sealed_keys = custody::SealedKeyStore(sealer_),
                                                    .policy = *policy_,
                                                    .factors = *factors_,
                                                    .sap_keys = *sap_keys_,
                                                    .identity_key = signing_key_,
                                                    .sad_key = signing_key_,
                                                    .revocations = revocations},
                                               Management::Questions{.status =
                                                                         [this] {
                                                                           if (while_status_) while_status_();
                                                                           return std::string(R"({"state":"serving"})");
                                                                         },
                                                                     .serves_policy = [this](const Policy&) { return serves_; }});
  }
  void TearDown() override {
    management_.reset();
    sap_keys_.reset();
    factors_.reset();
    log_.reset();
    sealer_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string make_policy(int epoch, bool demo) {
    const Value suites = Value::array({{{"suite", "ecdsa-sha256"}, {"sign_until", "2030-12-31T23:59:59Z"}}});
    const Value keys = Value::array({{{"algorithm", "p256"},
                                      {"generate_until", "2030-12-31T23:59:59Z"},
                                      {"certify_until", "2030-12-31T23:59:59Z"},
                                      {"sign_until", "2030-12-31T23:59:59Z"}}});
    return json::encode({{"id", "test-" + std::to_string(epoch)},
                         {"demo", demo},
                         {"epoch", epoch},
                         {"algorithms", {{"id", "test"}, {"keys", keys}, {"suites", suites}}},
                         {"profiles", Value::array({{{"name", "direct-resident"},
                                                     {"custody", "resident"},
                                                     {"factors", {"pin", "totp"}},
                                                     {"key_algorithms", Value::array({"p256"})},
                                                     {"max_documents", 8},
                                                     {"sad_seconds", 60},
                                                     {"ticket_seconds", 300},
                                                     {"per_minute", 10},
                                                     {"per_day", 100},
                                                     {"qualified", false}}})},
                         {"terms", Value::array({{{"id", "terms"}, {"version", "1"}, {"languages", Value::array({"en"})}}})},
                         {"acts", Value::array({"typed-yes"})},
                         {"lock", {{"failures", 3}, {"minutes", 15}, {"wide_failures", 30}}},
                         {"activation", {{"tries", 5}, {"days", 7}}},
                         {"totp_issuer", "Test"},
                         {"operators", Value::array({{{"id", "ra-1"}, {"jwk", admin_.jwk()}}})},
                         {"ca_anchors", Value::array({encode_base64(ca_)})}});
  }

  std::string compact(const User& user, Value body) {
    if (!body.contains("rid")) body["rid"] = *crypto::random_id();
    if (!body.contains("iat")) body["iat"] = unix_seconds(clock_->now());
    if (!body.contains("sam")) body["sam"] = "test";
    return *crypto::make_jws(*user.key, "intaglio-manage+jwt", user.id, json::encode(body));
  }
  Result<std::string> ask(const User& user, Value body) { return management_->handle(user.peer(), compact(user, std::move(body))); }
  Value answer(const User& user, Value body) {
    auto answered = ask(user, std::move(body));
    if (!answered) {
      ADD_FAILURE() << answered.error().detail;
      return {};
    }
    return *json::parse(*answered);
  }
  static void expect_refused(const Result<std::string>& answered, ErrorCode expected) {
    ASSERT_FALSE(answered) << "was not refused: " << *answered;
    EXPECT_EQ(name_of(answered.error().code), name_of(expected)) << answered.error().detail;
  }
  Value propose(const User& user, const std::string& operation, const Value& payload) {
    return answer(user, {{"op", "propose"}, {"operation", operation}, {"payload", payload}});
  }
  static Value step(const std::string& op, const Value& proposal) {
    return {{"op", op}, {"proposal", proposal.at("proposal")}, {"digest", proposal.at("digest")}};
  }
  void by_quorum(const std::string& operation, const Value& payload) {
    const auto proposal = propose(admin_, operation, payload);
    answer(officer_, step("approve", proposal));
    answer(admin_, step("execute", proposal));
  }
  std::vector<std::string> event_types() {
    std::vector<std::string> types;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) -> Status {
      auto page = log_->select(reader, {.from = 0, .limit = 1000});
      if (!page) return page.error();
      for (const auto& event : page->events) types.push_back(json::parse(event)->at("type").get<std::string>());
      return {};
    }));
    return types;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1'795'000'000));
  std::filesystem::path folder_;
  std::shared_ptr<crypto::SoftwareKey> signing_key_ = *crypto::SoftwareKey::generate();
  Bytes ca_ = self_signed_ca(*signing_key_, clock_->now());
  User admin_{"adm-1"}, officer_{"off-1"}, auditor_{"aud-1"}, operator_{"ope-1"};
  std::string policy_document_;
  std::optional<Policy> policy_;
  Bytes wrapping_key_ = Bytes(32, 7);
  NoVault vault_;
  NoPepper pepper_;
  NoAgreementKeys agreement_keys_;
  std::unique_ptr<storage::Database> database_;
  std::shared_ptr<sealed::Sealer> sealer_;
  std::unique_ptr<audit::Log> log_;
  std::unique_ptr<Factors> factors_;
  std::unique_ptr<SapKeys> sap_keys_;
  std::function<void()> while_status_;
  Status serves_;  ///< what the tokens say of a policy
  std::unique_ptr<Management> management_;
};

TEST_F(ManagementTest, EachRoleDoesWhatTheMatrixSaysAndEveryRefusalIsRecorded) {
  const std::vector<std::pair<const User*, Role>> users = {{&officer_, Role::security_officer},
                                                           {&admin_, Role::system_administrator},
                                                           {&operator_, Role::system_operator},
                                                           {&auditor_, Role::system_auditor}};
  for (const auto& rule : rules()) {
    for (const auto& [user, role] : users) {
      const bool allowed = static_cast<bool>(may_execute(*RoleSet::make({role}), rule));
      Value body = {{"op", rule.name}};
      if (rule.operation == Operation::read_audit) body["from"] = 0;
      if (rule.operation == Operation::show_proposal) body["proposal"] = "none";
      if (rule.operation == Operation::suspend_user) body.update({{"id", "nobody"}, {"reason", "test"}});
      if (needs_quorum(rule)) body = {{"op", "propose"}, {"operation", rule.name}, {"payload", {{"id", "nobody"}}}};
      const auto refusals_before = std::ranges::count(event_types(), "management.refused");
      const auto answered = ask(*user, body);
      if (!allowed) expect_refused(answered, ErrorCode::not_authorised);
      if (answered) continue;
      EXPECT_EQ(answered.error().code == ErrorCode::not_authorised, !allowed) << rule.name << ": " << answered.error().detail;
      EXPECT_EQ(std::ranges::count(event_types(), "management.refused"), refusals_before + 1) << rule.name;
    }
  }
}

TEST_F(ManagementTest, NoPrivilegedRequestSignsOrUnlocks) {
  for (const auto* user : {&admin_, &officer_, &auditor_, &operator_}) {
    for (const auto* op : {"sign", "authorise", "unlock", "resume-key", "create-signer", "reset-factors", ""})
      EXPECT_FALSE(ask(*user, {{"op", op}})) << op;
  }
}

TEST_F(ManagementTest, AStrangerIsNotKnownAndNotAnswered) {
  const User stranger{"adm-1"};
  EXPECT_FALSE(management_->knows(stranger.peer()));
  EXPECT_TRUE(management_->knows(admin_.peer()));
  expect_refused(ask(stranger, {{"op", "show-status"}}), ErrorCode::not_authorised);
}

TEST_F(ManagementTest, TheRequestIsSignedByWhoIsConnected) {
  expect_refused(management_->handle(admin_.peer(), compact(officer_, {{"op", "show-users"}})), ErrorCode::not_authorised);
  const User forger{"adm-1"};
  expect_refused(management_->handle(admin_.peer(), compact(forger, {{"op", "show-users"}})), ErrorCode::not_authorised);
}

TEST_F(ManagementTest, ARequestIsForThisSamOfTheLastTwoMinutesAndUsedOnce) {
  expect_refused(ask(admin_, {{"op", "show-users"}, {"sam", "another"}}), ErrorCode::not_authorised);
  const auto now = unix_seconds(clock_->now());
  expect_refused(ask(admin_, {{"op", "show-users"}, {"iat", now - 121}}), ErrorCode::not_authorised);
  expect_refused(ask(admin_, {{"op", "show-users"}, {"iat", now + 31}}), ErrorCode::not_authorised);
  const auto request = compact(admin_, {{"op", "show-users"}});
  EXPECT_TRUE(management_->handle(admin_.peer(), request));
  expect_refused(management_->handle(admin_.peer(), request), ErrorCode::replayed);
}

TEST_F(ManagementTest, FiveRefusedRequestsLockAUserForAQuarterOfAnHour) {
  for (int i = 0; i < 5; ++i) expect_refused(ask(admin_, {{"op", "show-users"}, {"sam", "another"}}), ErrorCode::not_authorised);
  expect_refused(ask(admin_, {{"op", "show-users"}}), ErrorCode::not_authorised);
  EXPECT_TRUE(ask(officer_, {{"op", "show-users"}}));
  clock_->advance(std::chrono::minutes(15) + std::chrono::seconds(1));
  EXPECT_TRUE(ask(admin_, {{"op", "show-users"}}));
  EXPECT_EQ(std::ranges::count(event_types(), "user.changed"), 1) << "that he was locked is an entry of its own";
}

TEST_F(ManagementTest, AWrongClockLocksNobody) {
  const auto late = unix_seconds(clock_->now()) - 600;
  for (int i = 0; i < 10; ++i) expect_refused(ask(admin_, {{"op", "show-users"}, {"iat", late}}), ErrorCode::not_authorised);
  EXPECT_TRUE(ask(admin_, {{"op", "show-users"}}));
}

TEST_F(ManagementTest, WhoMayNotLogInIsRecordedOnceAndWritesNothingMore) {
  answer(officer_, {{"op", "suspend-user"}, {"id", "ope-1"}, {"reason", "left"}});
  EXPECT_FALSE(management_->knows(operator_.peer())) << "he holds no connection either";
  const auto before = event_types().size();
  for (int i = 0; i < 10; ++i) expect_refused(ask(operator_, {{"op", "show-status"}}), ErrorCode::not_authorised);
  EXPECT_EQ(event_types().size(), before + 1);
  clock_->advance(Management::lock_time);
  expect_refused(ask(operator_, {{"op", "show-status"}}), ErrorCode::not_authorised);
  EXPECT_EQ(event_types().size(), before + 2);
}

TEST_F(ManagementTest, ASlowStatusKeepsNoWriteWaiting) {
  while_status_ = [&] {
    // The writer is free: another user's request, which writes, is served to its end meanwhile.
    while_status_ = nullptr;
    EXPECT_TRUE(ask(officer_, {{"op", "show-users"}}));
  };
  EXPECT_TRUE(ask(admin_, {{"op", "show-status"}}));
}

TEST_F(ManagementTest, OnlyKnownMembersAreTaken) {
  const auto junk = std::string(10'000, 'x');
  expect_refused(ask(admin_, {{"op", "show-users"}, {"note", "x"}}), ErrorCode::invalid_request);
  const auto refused = [&](const std::string& operation, Value payload) {
    payload[junk] = 1;
    const auto answered = ask(admin_, {{"op", "propose"}, {"operation", operation}, {"payload", payload}});
    ASSERT_FALSE(answered);
    expect_refused(answered, ErrorCode::invalid_request);
    EXPECT_LT(answered.error().detail.size(), 200U);
  };
  const User newcomer{"ope-2"};
  refused("add-user", newcomer.entry({"system-operator"}));
  refused("change-roles", {{"id", "ope-1"}, {"roles", Value::array({"system-operator"})}});
  refused("resume-user", {{"id", "ope-1"}, {"jwk", operator_.jwk()}});
  refused("install-policy", {{"document", make_policy(2, true)}});
  auto dressed = operator_.jwk();
  dressed["note"] = "approved by the head of security";
  expect_refused(ask(admin_, {{"op", "propose"}, {"operation", "resume-user"}, {"payload", {{"id", "ope-1"}, {"jwk", dressed}}}}),
                 ErrorCode::invalid_request);
  // What he wrote is not what the audit log keeps.
  expect_refused(ask(admin_, {{"op", "propose"}, {"operation", "change-roles"}, {"payload", {{"id", "ope-1"}, {"roles", {junk}}}}}),
                 ErrorCode::invalid_request);
  const auto page = answer(auditor_, {{"op", "read-audit"}, {"from", 0}, {"type", "management.refused"}});
  for (const auto& event : page.at("events")) EXPECT_LE(event.at("fields").at("detail").get<std::string>().size(), 260U);
}

TEST_F(ManagementTest, OneUserHasEightOpenProposals) {
  const Value payload = {{"id", "ope-1"}, {"roles", Value::array({"system-operator"})}};
  const Value body = {{"op", "propose"}, {"operation", "change-roles"}, {"payload", payload}};
  std::vector<Value> made;
  for (std::size_t i = 0; i < Management::max_open_proposals; ++i) made.push_back(answer(admin_, body));
  expect_refused(ask(admin_, body), ErrorCode::limit_exceeded);
  answer(officer_, step("approve", made.front()));
  answer(admin_, step("execute", made.front()));
  answer(admin_, body);
  expect_refused(ask(admin_, body), ErrorCode::limit_exceeded);
  clock_->advance(Management::proposal_lifetime);
  answer(admin_, body);
}

TEST_F(ManagementTest, AListOfProposalsFitsIntoAFrameWhateverTheyHoldAndGoesOnBehindIt) {
  auto document = *json::parse(make_policy(2, true));
  document["terms"] = Value::array();
  for (int i = 0; i < 150; ++i)
    document["terms"].push_back(
        {{"id", "terms-of-the-service-" + std::to_string(i)}, {"version", "1"}, {"languages", Value::array({"en"})}});
  const Value payload = {{"document", json::encode(document)}};
  std::size_t whole = 0;
  std::vector<std::string> made;
  for (int day = 0; day < 13; ++day) {
    for (std::size_t i = 0; i < Management::max_open_proposals; ++i) {
      const auto proposal = propose(admin_, "install-policy", payload);
      ASSERT_TRUE(proposal.contains("proposal"));
      made.push_back(proposal.at("proposal"));
      whole += json::encode(proposal).size();
    }
    clock_->advance(Management::proposal_lifetime);
  }
  ASSERT_GT(whole, 1024U * 1024) << "whole, they would not fit";
  const auto first = answer(officer_, {{"op", "show-proposals"}});
  EXPECT_LT(json::encode(first).size(), 64U * 1024);
  EXPECT_FALSE(first.at("proposals").at(0).contains("payload"));
  EXPECT_EQ(first.at("proposals").at(0).at("target"), "policy");
  const auto second = answer(officer_, {{"op", "show-proposals"}, {"before", first.at("next")}});
  EXPECT_FALSE(second.contains("next"));
  std::vector<std::string> shown;
  for (const auto* page : {&first, &second}) {
    for (const auto& proposal : page->at("proposals")) shown.push_back(proposal.at("proposal"));
  }
  std::reverse(shown.begin(), shown.end());
  EXPECT_EQ(shown, made);
  expect_refused(ask(officer_, {{"op", "show-proposals"}, {"before", -1}}), ErrorCode::invalid_request);
  const auto one = answer(officer_, {{"op", "show-proposal"}, {"proposal", made.back()}});
  EXPECT_EQ(one.at("payload"), payload);
  expect_refused(ask(officer_, {{"op", "show-proposal"}, {"proposal", "none"}}), ErrorCode::not_found);
}

TEST_F(ManagementTest, APageOfTheAuditLogFitsIntoAFrameAndGoesOnBehindIt) {
  const std::string long_text(6000, 'x');
  for (int i = 0; i < 120; ++i) {
    ASSERT_TRUE(log_->record({.type = audit::EventType::user_changed,
                              .actor = "test",
                              .subject = "ope-1",
                              .outcome = audit::Outcome::success,
                              .fields = {{"change", std::to_string(i)}, {"reason", long_text}}}));
  }
  std::vector<std::string> seen;
  std::int64_t from = 0;
  for (int pages = 0; pages < 10; ++pages) {
    const auto answered = ask(auditor_, {{"op", "read-audit"}, {"from", from}, {"actor", "test"}});
    ASSERT_TRUE(answered);
    EXPECT_LT(answered->size(), 600U * 1024);
    const auto page = *json::parse(*answered, {.max_bytes = 1024 * 1024, .max_members = 100'000});
    for (const auto& event : page.at("events")) seen.push_back(event.at("fields").at("change"));
    from = page.at("next").get<std::int64_t>();
    if (from == page.at("size").get<std::int64_t>()) break;
  }
  ASSERT_EQ(seen.size(), 120U);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen.at(i), std::to_string(i));
}

TEST_F(ManagementTest, WhatIsProposedIsInTheAuditLog) {
  const User newcomer{"ope-2"};
  propose(admin_, "add-user", newcomer.entry({"system-operator"}));
  const auto events = answer(auditor_, {{"op", "read-audit"}, {"from", 0}, {"type", "proposal.made"}}).at("events");
  ASSERT_EQ(events.size(), 1U);
  const auto& fields = events.at(0).at("fields");
  EXPECT_EQ(fields.at("target"), "ope-2");
  EXPECT_EQ(fields.at("roles"), "system-operator");
  EXPECT_EQ(fields.at("key"), *crypto::jwk_thumbprint(newcomer.key->public_key()));
}

TEST_F(ManagementTest, AChangeThatStandsIsNotRecordedAsRefused) {
  // The hook lives as long as the database, which is written once more when it is closed.
  const auto commits = std::make_shared<int>(0);
  database_->on_commit([commits]() -> Status {
    // The first commit lets the request in, the second holds the change.
    if (++*commits == 2) return Error{ErrorCode::audit_unavailable, "the anchor is not written"};
    return {};
  });
  expect_refused(ask(officer_, {{"op", "suspend-user"}, {"id", "ope-1"}, {"reason", "left"}}), ErrorCode::audit_unavailable);
  EXPECT_FALSE(management_->knows(operator_.peer()));
  EXPECT_EQ(std::ranges::count(event_types(), "user.changed"), 1);
  EXPECT_EQ(std::ranges::count(event_types(), "management.refused"), 0);
}

TEST_F(ManagementTest, AUserWhoWasNotSeenForNinetyDaysIsRefusedUntilTheQuorumResumesHim) {
  clock_->advance(Management::max_idle - std::chrono::hours(1));
  EXPECT_TRUE(ask(admin_, {{"op", "show-status"}}));
  EXPECT_TRUE(ask(officer_, {{"op", "show-status"}}));
  clock_->advance(std::chrono::hours(2));
  expect_refused(ask(auditor_, {{"op", "show-status"}}), ErrorCode::not_authorised);
  by_quorum("resume-user", {{"id", "aud-1"}, {"jwk", auditor_.jwk()}});
  EXPECT_TRUE(ask(auditor_, {{"op", "show-status"}}));
}

TEST_F(ManagementTest, ANewUserIsAddedByTwoPersonsAndActsInHisRole) {
  const User newcomer{"aud-2"};
  const auto proposal = propose(admin_, "add-user", newcomer.entry({"system-auditor"}));
  expect_refused(ask(newcomer, {{"op", "show-status"}}), ErrorCode::not_authorised);
  expect_refused(ask(admin_, step("execute", proposal)), ErrorCode::not_authorised);
  expect_refused(ask(admin_, step("approve", proposal)), ErrorCode::not_authorised);
  answer(officer_, step("approve", proposal));
  expect_refused(ask(officer_, step("execute", proposal)), ErrorCode::not_authorised);
  EXPECT_FALSE(management_->knows(newcomer.peer()));
  answer(admin_, step("execute", proposal));
  EXPECT_TRUE(ask(newcomer, {{"op", "read-audit"}, {"from", 0}}));
  expect_refused(ask(admin_, step("execute", proposal)), ErrorCode::replayed);
  const auto types = event_types();
  for (const auto* type : {"proposal.made", "proposal.approved", "proposal.executed", "user.added"})
    EXPECT_EQ(std::ranges::count(types, type), 1) << type;
}

TEST_F(ManagementTest, AProposalThatNobodyCouldExecuteIsRefusedAtOnce) {
  auto twice = auditor_.entry({"system-auditor"});
  twice["id"] = "aud-9";
  expect_refused(ask(admin_, {{"op", "propose"}, {"operation", "add-user"}, {"payload", twice}}), ErrorCode::conflict);
  const User newcomer{"all"};
  expect_refused(
      ask(admin_,
          {{"op", "propose"}, {"operation", "add-user"}, {"payload", newcomer.entry({"system-administrator", "security-officer"})}}),
      ErrorCode::conflict);
  expect_refused(
      ask(admin_,
          {{"op", "propose"}, {"operation", "change-roles"}, {"payload", {{"id", "off-1"}, {"roles", Value::array({"system-auditor"})}}}}),
      ErrorCode::conflict);
  expect_refused(ask(admin_, {{"op", "propose"}, {"operation", "install-policy"}, {"payload", {{"document", "{}"}}}}),
                 ErrorCode::invalid_request);
  EXPECT_EQ(answer(admin_, {{"op", "show-proposals"}}).at("proposals").size(), 0U);
}

TEST_F(ManagementTest, AnApprovalOfAnOfficerWhoWasSuspendedSinceCountsNoMore) {
  const User second{"off-2"};
  by_quorum("add-user", second.entry({"security-officer"}));
  const User newcomer{"ope-2"};
  const auto proposal = propose(admin_, "add-user", newcomer.entry({"system-operator"}));
  answer(second, step("approve", proposal));
  answer(officer_, {{"op", "suspend-user"}, {"id", "off-2"}, {"reason", "lost card"}});
  expect_refused(ask(admin_, step("execute", proposal)), ErrorCode::not_authorised);
  expect_refused(ask(second, {{"op", "show-users"}}), ErrorCode::not_authorised);
}

TEST_F(ManagementTest, AnApprovalDoesNotReviveWithItsGiver) {
  const User second{"off-2"};
  by_quorum("add-user", second.entry({"security-officer"}));
  const User newcomer{"ope-2"};
  const auto proposal = propose(admin_, "add-user", newcomer.entry({"system-operator"}));
  answer(second, step("approve", proposal));
  answer(officer_, {{"op", "suspend-user"}, {"id", "off-2"}, {"reason", "lost card"}});
  by_quorum("resume-user", {{"id", "off-2"}, {"jwk", second.jwk()}});
  expect_refused(ask(admin_, step("execute", proposal)), ErrorCode::not_authorised);
  EXPECT_FALSE(management_->knows(newcomer.peer()));
}

TEST_F(ManagementTest, AProposalDoesNotReviveWithItsMaker) {
  const User second{"adm-2"};
  by_quorum("add-user", second.entry({"system-administrator"}));
  const User newcomer{"ope-2"};
  const auto proposal = propose(second, "add-user", newcomer.entry({"system-operator"}));
  answer(officer_, step("approve", proposal));
  answer(officer_, {{"op", "suspend-user"}, {"id", "adm-2"}, {"reason", "lost card"}});
  expect_refused(ask(admin_, step("execute", proposal)), ErrorCode::not_authorised);
  by_quorum("resume-user", {{"id", "adm-2"}, {"jwk", second.jwk()}});
  expect_refused(ask(second, step("execute", proposal)), ErrorCode::not_authorised);
  EXPECT_FALSE(management_->knows(newcomer.peer()));
}

TEST_F(ManagementTest, AnIdleOfficerIsNotTheOneWhoStays) {
  const User second{"off-2"};
  by_quorum("add-user", second.entry({"security-officer"}));
  clock_->advance(Management::max_idle - std::chrono::hours(1));
  answer(admin_, {{"op", "show-status"}});
  answer(officer_, {{"op", "show-status"}});
  clock_->advance(std::chrono::hours(2));
  expect_refused(ask(second, {{"op", "show-status"}}), ErrorCode::not_authorised);
  expect_refused(ask(admin_, {{"op", "suspend-user"}, {"id", "off-1"}, {"reason", "hostile"}}), ErrorCode::conflict);
  by_quorum("resume-user", {{"id", "off-2"}, {"jwk", second.jwk()}});
  answer(admin_, {{"op", "suspend-user"}, {"id", "off-1"}, {"reason", "hostile"}});
}

TEST_F(ManagementTest, ALongSilenceTakesNoQuorumAway) {
  clock_->advance(Management::max_idle * 2);
  expect_refused(ask(auditor_, {{"op", "show-status"}}), ErrorCode::not_authorised);
  by_quorum("resume-user", {{"id", "aud-1"}, {"jwk", auditor_.jwk()}});
  EXPECT_TRUE(ask(auditor_, {{"op", "show-status"}}));
}

TEST_F(ManagementTest, OnePersonSuspendsButTheLastOfficerStays) {
  answer(officer_, {{"op", "suspend-user"}, {"id", "ope-1"}, {"reason", "left"}});
  expect_refused(ask(operator_, {{"op", "show-status"}}), ErrorCode::not_authorised);
  expect_refused(ask(officer_, {{"op", "suspend-user"}, {"id", "ope-1"}, {"reason", "left"}}), ErrorCode::conflict);
  expect_refused(ask(admin_, {{"op", "suspend-user"}, {"id", "off-1"}, {"reason", "hostile"}}), ErrorCode::conflict);
  const User renewed{"ope-1"};
  by_quorum("resume-user", {{"id", "ope-1"}, {"jwk", renewed.jwk()}});
  EXPECT_TRUE(ask(renewed, {{"op", "show-status"}}));
  EXPECT_FALSE(management_->knows(operator_.peer()));
}

TEST_F(ManagementTest, AResumedUserHasAKeyOfHisOwn) {
  expect_refused(ask(admin_, {{"op", "propose"}, {"operation", "resume-user"}, {"payload", {{"id", "ope-1"}, {"jwk", officer_.jwk()}}}}),
                 ErrorCode::conflict);
}

TEST_F(ManagementTest, APolicyIsReplacedByTwoPersonsAndItsEpochNeverGoesBack) {
  by_quorum("install-policy", {{"document", make_policy(2, true)}});
  const auto shown = answer(admin_, {{"op", "show-policy"}});
  EXPECT_EQ(json::parse(shown.at("document").get<std::string>())->at("epoch"), 2);
  EXPECT_EQ(shown.at("in_force"), "test-1");
  const auto refused = [&](const std::string& document) {
    return ask(admin_, {{"op", "propose"}, {"operation", "install-policy"}, {"payload", {{"document", document}}}});
  };
  expect_refused(refused(make_policy(1, true)), ErrorCode::conflict);
  expect_refused(refused(make_policy(3, false)), ErrorCode::conflict);
}

TEST_F(ManagementTest, APolicyThatTheSamCannotServeIsNeitherProposedNorInstalled) {
  const auto document = make_policy(2, true);
  const Value request = {{"op", "propose"}, {"operation", "install-policy"}, {"payload", {{"document", document}}}};
  serves_ = Error{ErrorCode::configuration, "the token does not serve it"};
  expect_refused(ask(admin_, request), ErrorCode::configuration);
  expect_refused(ask(operator_, request), ErrorCode::not_authorised);
  serves_ = {};
  const auto proposal = propose(admin_, "install-policy", {{"document", document}});
  answer(officer_, step("approve", proposal));
  serves_ = Error{ErrorCode::configuration, "the token does not serve it any more"};
  const auto execution = step("execute", proposal);
  expect_refused(ask(admin_, execution), ErrorCode::configuration);
  EXPECT_EQ(json::parse(answer(admin_, {{"op", "show-policy"}}).at("document").get<std::string>())->at("epoch"), 1);
  serves_ = {};
  answer(admin_, execution);
  EXPECT_EQ(json::parse(answer(admin_, {{"op", "show-policy"}}).at("document").get<std::string>())->at("epoch"), 2);
}

TEST_F(ManagementTest, WhatOnePersonMayDoNeedsNoProposalAndTheRestGoesByOne) {
  expect_refused(ask(admin_, {{"op", "propose"}, {"operation", "show-users"}, {"payload", Value::object()}}), ErrorCode::invalid_request);
  const User newcomer{"ope-2"};
  auto direct = newcomer.entry({"system-operator"});
  direct["op"] = "add-user";
  expect_refused(ask(admin_, direct), ErrorCode::not_authorised);
  EXPECT_FALSE(management_->knows(newcomer.peer()));
}

TEST_F(ManagementTest, TheAuditorFindsEntriesByTypeActorAndTimeAndThatIsRecorded) {
  answer(officer_, {{"op", "suspend-user"}, {"id", "ope-1"}, {"reason", "left"}});
  clock_->advance(std::chrono::minutes(10));
  answer(officer_, {{"op", "show-users"}});
  const User newcomer{"ope-2"};
  propose(admin_, "add-user", newcomer.entry({"system-operator"}));
  const auto found = [&](Value body) {
    body["op"] = "read-audit";
    body["from"] = 0;
    return answer(auditor_, std::move(body)).at("events");
  };
  EXPECT_EQ(found({{"type", "user.changed"}}).size(), 1U);
  EXPECT_EQ(found({{"actor", "user:adm-1"}}).size(), 1U);
  EXPECT_EQ(found({{"subject", "ope-1"}}).size(), 1U);
  const auto tenth_minute = format_utc(clock_->now());
  EXPECT_EQ(found({{"until", tenth_minute}}).size(), 1U);
  EXPECT_GE(found({{"since", tenth_minute}}).size(), 1U);
  EXPECT_EQ(found({{"type", "no.such"}}).size(), 0U);
  EXPECT_EQ(std::ranges::count(event_types(), "audit.read"), 6);
  expect_refused(ask(auditor_, {{"op", "read-audit"}, {"from", -1}}), ErrorCode::invalid_request);
  expect_refused(ask(auditor_, {{"op", "read-audit"}, {"from", 0}, {"since", "yesterday"}}), ErrorCode::invalid_request);
}

TEST_F(ManagementTest, UsersThatAreTakenOutOfTheDatabaseAreMissed) {
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    auto gone = transaction.execute("DELETE FROM sam_state WHERE id = 'privileged-users'", {});
    return gone ? Status() : Status(gone.error());
  }));
  EXPECT_FALSE(management_->knows(admin_.peer()));
  expect_refused(ask(admin_, {{"op", "show-users"}}), ErrorCode::storage_unavailable);
}

TEST_F(ManagementTest, NothingIsAnsweredWithoutATrustworthyClock) {
  clock_->lose_synchronisation();
  expect_refused(ask(officer_, {{"op", "suspend-user"}, {"id", "ope-1"}, {"reason", "left"}}), ErrorCode::clock_unsynchronised);
}

}  // namespace
}  // namespace intaglio::sam
