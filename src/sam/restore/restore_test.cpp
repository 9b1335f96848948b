#include "sam/restore/restore.h"

#include "base/file.h"
#include "sam/authority/voiding.h"
#include "sam/management/management.h"
#include "sam/management/request.h"
#include "sam/roles/proposals.h"
#include "sam/testing/factors_fixture.h"

namespace intaglio::sam {
namespace {

using testing::expect_refused;
using testing::Value;

struct User {
  std::string id;
  std::string role;
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();

  [[nodiscard]] Value entry() const {
    std::string person = "PNOGR-";
    for (const char c : id) {
      if (c != '-') person += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return {{"id", id}, {"person", person}, {"roles", Value::array({role})}, {"jwk", *json::parse(*crypto::encode_jwk(key->public_key()))}};
  }
};

/// A SAM over one SQLite file, with two signers, keys and users; a backup of it; what happened since; and the restore.
class RestoreTest : public testing::FactorsTest {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("intaglio-restore-test-" + *crypto::random_id());
    std::filesystem::create_directories(folder_);
    use_profiles(both_);
    open_database();
    open_log();
    open();
    enrol(alice_, /*pin=*/true, /*seed=*/false, passkey_);
    enrol(bob_, /*pin=*/true, /*seed=*/false, std::nullopt, 2);
    const auto users = PrivilegedUsers::parse_first(
        json::encode(Value::array({admin_.entry(), second_admin_.entry(), officer_.entry(), auditor_.entry()})), clock_->now());
    ASSERT_TRUE(users) << users.error().detail;
    commit([&](storage::Transaction& transaction) -> Status {
      if (auto installed = UserRegistry(sealer_).install(transaction, *users); !installed) return installed;
      return state().insert(transaction, "policy", as_bytes("the policy of the backup"));
    });
    commit([&](storage::Transaction& transaction) -> Status {
      auto found = state().find(transaction, "policy");
      if (!found) return found.error();
      return state().update(transaction, "policy", (*found)->version, as_bytes(document_));
    });
    insert_key(key_, alice_, 1);
    insert_key(bobs_key_, bob_, 2);
  }

  void use_profiles(const Value& profiles) {
    FactorsTest::use_profiles(profiles);
    document_ = json::encode(policy_document(profiles));
  }
  void commit(const std::function<Status(storage::Transaction&)>& work) {
    const auto done = database_->write(work);
    ASSERT_TRUE(done) << done.error().detail;
  }
  [[nodiscard]] sealed::Table state() const { return {sealer_, "sam_state", sealed::Rollback::refused}; }
  [[nodiscard]] custody::KeyStore keys() const { return custody::KeyStore(sealer_); }

  void open_database() {
    database_ = *storage::open_sqlite(folder_ / "sam.db");
    ASSERT_TRUE(database_->migrate(database_migrations()));
    auto sealer = sealed::open_testing_sealer(*database_, Bytes(32, 7), clock_, folder_ / "anchor/versions");
    ASSERT_TRUE(sealer) << sealer.error().detail;
    sealer_ = *sealer;
  }
  [[nodiscard]] audit::LogConfig log_config() const {
    return {.origin = "intaglio/sam/test",
            .directory = folder_ / "audit",
            .anchor = folder_ / "anchor/sam",
            .entry_mac = [sealer = sealer_.get()](ByteView running) { return sealer->blind_index("audit_entries", "running", running); }};
  }
  void open_log() {
    auto log = audit::Log::open(log_config(), *database_, checkpoint_, clock_);
    ASSERT_TRUE(log) << log.error().detail;
    log_ = std::move(*log);
  }
  void close() {
    factors_.reset();
    log_.reset();
    sealer_.reset();
    database_.reset();
  }
  void start() {
    close();
    open_database();
    open_log();
    open();
  }

  void insert_key(const KeyId& id, const SignerId& owner, std::uint8_t holder) {
    const auto pair = *crypto::SoftwareKey::generate();
    commit([&](storage::Transaction& transaction) {
      return keys().insert(transaction, custody::KeyRecord{.id = id,
                                                           .owner = owner,
                                                           .holder = Bytes(16, holder),
                                                           .state = custody::KeyState::generated,
                                                           .algorithm = crypto::KeyAlgorithm::p256,
                                                           .spki = pair->public_key().spki(),
                                                           .profile = "both",
                                                           .created = clock_->now(),
                                                           .certificates = {},
                                                           .revoked = false,
                                                           .suspended_because = {}});
    });
  }
  void destroy_key(const KeyId& id) {
    commit([&](storage::Transaction& transaction) -> Status {
      auto key = keys().find(transaction, id);
      if (!key) return key.error();
      const custody::SealedKeyStore sealed_keys(sealer_);
      const auto pending = pending_keys(sealer_);
      const std::string node = "test";
      return void_key(KeyLedger{keys(), sealed_keys, pending, *log_, node}, transaction, **key, {"signer", "destroyed", {}});
    });
  }
  /// As the latest, for what decides.
  custody::KeyState state_of(const KeyId& id) {
    auto found = custody::KeyState::generated;
    commit([&](storage::Transaction& transaction) -> Status {
      auto key = keys().find(transaction, id);
      if (!key) return key.error();
      found = (*key)->record.state;
      return {};
    });
    return found;
  }
  bool has_factors(const SignerId& id) {
    bool enrolled = false;
    commit([&](storage::Transaction& transaction) -> Status {
      auto found = factors_->signers().find(transaction, id.text());
      if (!found) return found.error();
      auto record = parse_signer((*found)->content.reveal());
      if (!record) return record.error();
      enrolled = is_enrolled(*record);
      EXPECT_TRUE(enrolled || record->activation_tries_left == 0);
      return {};
    });
    return enrolled;
  }
  using Fields = std::vector<std::pair<std::string, std::string>>;
  void tell(audit::EventType type, const std::string& subject, const std::string& actor, Fields fields) {
    const auto told = log_->record({type, actor, subject, audit::Outcome::success, std::move(fields)});
    ASSERT_TRUE(told) << told.error().detail;
  }
  void tell(audit::EventType type, const std::string& subject, Fields fields) { tell(type, subject, "user:adm-1", std::move(fields)); }

  void back_up() { ASSERT_TRUE(storage::back_up_sqlite(folder_ / "sam.db", folder_ / "backup.db")); }
  /// The SAM ends in order, its database is lost, and the backup stands in its place.
  void bring_back() {
    ASSERT_TRUE(log_->checkpoint_now());
    close();
    for (const auto* name : {"sam.db", "sam.db-wal", "sam.db-shm"}) std::filesystem::remove(folder_ / name);
    std::filesystem::copy_file(folder_ / "backup.db", folder_ / "sam.db");
    open_database();
  }
  Result<Restore> read(const std::optional<Bytes>& policy = {}) {
    return Restore::read({.node = "test",
                          .name = "sam",
                          .clock = clock_,
                          .database = *database_,
                          .sealer = sealer_,
                          .log = log_config(),
                          .checkpoint_key = checkpoint_},
                         policy);
  }
  [[nodiscard]] std::string approval(const User& by, std::string_view statement, const std::string& sam = "sam",
                                     std::string_view typ = Restore::approval_typ) const {
    return *crypto::make_jws(*by.key, typ, by.id,
                             json::encode({{"sam", sam}, {"statement", encode_base64url(crypto::sha256(as_bytes(statement)))}}));
  }
  /// From the backup to a SAM that serves.
  void restore(const std::optional<Bytes>& policy = {}) {
    bring_back();
    perform(policy);
    start();
  }
  /// In a scope of its own: what was read holds the sealer, which must not outlive the database.
  void perform(const std::optional<Bytes>& policy = {}) {
    auto found = read(policy);
    ASSERT_TRUE(found) << found.error().detail;
    const auto statement = *found->make_statement();
    const auto done = found->perform(statement, {approval(admin_, statement), approval(officer_, statement)});
    ASSERT_TRUE(done) << done.error().detail;
  }
  struct StateRow {
    std::int64_t version;
    Bytes record;
  };
  StateRow row_of(std::string_view id) {
    std::optional<StateRow> row;
    const auto found = database_->read([&](storage::Reader& reader) {
      return reader.query("SELECT version, record FROM sam_state WHERE id = ?1", {id}, [&](const storage::Row& one) {
        row = StateRow{one.integer(0), one.bytes(1)};
        return true;
      });
    });
    if (!found || !row) panic("a row of the state is missing");
    return *row;
  }
  /// As somebody does who owns the database; the SAM has ended.
  void put_row(std::string_view id, const StateRow& row) {
    close();
    open_database();
    commit([&](storage::Transaction& transaction) -> Status {
      auto put =
          transaction.execute("UPDATE sam_state SET version = ?2, record = ?3 WHERE id = ?1", {id, row.version, ByteView(row.record)});
      return put ? Status() : Status(put.error());
    });
  }
  Restored restored() {
    Restored found;
    commit([&](storage::Transaction& transaction) -> Status {
      auto loaded = load_restored(state(), transaction);
      if (!loaded) return loaded.error();
      found = std::move(*loaded);
      return {};
    });
    return found;
  }

  const SignerId bob_ = *SignerId::parse("bob");
  const KeyId key_ = *KeyId::parse("key-of-alice"), bobs_key_ = *KeyId::parse("key-of-bob");
  const User admin_{"adm-1", "system-administrator"}, second_admin_{"adm-2", "system-administrator"}, officer_{"off-1", "security-officer"},
      auditor_{"aud-1", "system-auditor"};
  std::string document_;
};

TEST_F(RestoreTest, WhatIsAsNewAsItsAnchorIsNotRestored) {
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  open_database();
  expect_refused(read(), ErrorCode::conflict);
}

TEST_F(RestoreTest, WhoeverDidNothingSinceTheBackupGoesOnAsBefore) {
  back_up();
  tell(audit::EventType::transaction_opened, "alice", {{"authorisation", "a"}, {"purpose", "sign"}, {"client", "demo"}});
  restore();
  EXPECT_TRUE(has_factors(alice_));
  EXPECT_EQ(state_of(key_), custody::KeyState::generated);
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
  EXPECT_EQ(events("transaction.opened").size(), 1U) << "the log lost what the tiles had";
  EXPECT_EQ(events("database.restored").size(), 1U);
}

TEST_F(RestoreTest, ASecretThatWasReplacedAfterTheBackupOpensNothing) {
  back_up();
  const auto old_pin = std::exchange(pin_, "802746");
  enrol(alice_, /*pin=*/true, /*seed=*/false, std::nullopt);
  restore();
  EXPECT_FALSE(has_factors(alice_));
  EXPECT_TRUE(has_factors(bob_));
  clock_->advance(std::chrono::hours(1));
  expect_refused(attempt(alice_, old_pin, answer()), ErrorCode::authentication_failed);
  EXPECT_EQ(state_of(key_), custody::KeyState::destroyed);
  EXPECT_EQ(state_of(bobs_key_), custody::KeyState::generated);
  EXPECT_EQ(events("factors.voided").size(), 1U);
}

TEST_F(RestoreTest, NoAttemptIsGained) {
  expect_refused(attempt(alice_, "111222", answer()), ErrorCode::authentication_failed);
  back_up();
  expect_refused(attempt(alice_, "111223", answer()), ErrorCode::authentication_failed);
  tell(audit::EventType::authorisation_refused, key_.text(), "signer:alice",
       {{"purpose", "sign"}, {"reason", "authentication_failed"}, {"authorisation", "a"}, {"client", "demo"}});
  restore();
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::credential_locked);
  EXPECT_EQ(events("factors.locked").size(), 1U);
  clock_->advance(std::chrono::minutes(16));
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(RestoreTest, APasskeyThatWasUsedIsBelievedAndOneThatWasSuspendedIsNot) {
  for (const bool suspended : {false, true}) {
    SCOPED_TRACE(suspended);
    std::filesystem::remove(folder_ / "backup.db");
    back_up();
    ASSERT_TRUE(attempt(alice_, pin_, answer()));
    tell(audit::EventType::authorisation_refused, key_.text(), "signer:alice",
         {{"purpose", "sign"}, {"reason", "credential_disabled"}, {"authorisation", "a"}, {"client", "demo"}});
    if (suspended) tell(audit::EventType::passkey_suspended, "alice", {{"passkey", "p"}, {"counter_known", "9"}, {"counter_told", "9"}});
    restore();
    EXPECT_EQ(has_factors(alice_), !suspended);
    clock_->advance(std::chrono::minutes(16));
  }
}

TEST_F(RestoreTest, DocumentsThatWereAuthorisedSinceTheBackupCountAgainstTheDay) {
  back_up();
  {
    auto proven = attempt(alice_, pin_, answer());
    ASSERT_TRUE(proven) << proven.error().detail;
    ASSERT_TRUE(database_->write(
        [&](storage::Transaction& write) -> Status { return factors_->give_back(write, *proven, 9, policy_->profiles().front()); }));
    tell(audit::EventType::authorisation_granted, key_.text(), "signer:alice",
         {{"authorisation", "a"},
          {"list", "l"},
          {"count", "95"},
          {"binding", "b"},
          {"certificate", "c"},
          {"terms", "t"},
          {"act", "x"},
          {"methods", "pin"},
          {"client", "demo"},
          {"sad", "s"}});
  }
  const auto guest = *SignerId::parse("guest");
  const auto& profile = policy_->profiles().front();
  commit([&](storage::Transaction& write) { return factors_->count_session(write, guest, 9, profile); });
  tell(audit::EventType::authorisation_granted, "key-of-a-session", "signer:guest",
       {{"authorisation", "b"},
        {"list", "l"},
        {"count", "98"},
        {"binding", "b"},
        {"certificate", "c"},
        {"terms", "t"},
        {"act", "x"},
        {"methods", "id-token"},
        {"client", "demo"},
        {"sad", "s"}});
  restore();
  clock_->advance(std::chrono::minutes(16));
  const auto guests = [&](std::uint32_t documents) {
    return database_->write([&](storage::Transaction& write) { return factors_->count_session(write, guest, documents, profile); });
  };
  expect_refused(guests(3), ErrorCode::limit_exceeded);
  EXPECT_TRUE(guests(2));
  auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  const auto counted = [&](std::uint32_t documents) {
    return database_->write(
        [&](storage::Transaction& write) -> Status { return factors_->give_back(write, *proven, documents, policy_->profiles().front()); });
  };
  expect_refused(counted(6), ErrorCode::limit_exceeded);
  EXPECT_TRUE(counted(5));
}

TEST_F(RestoreTest, AKeyThatWasDestroyedAfterTheBackupStaysSo) {
  back_up();
  destroy_key(key_);
  restore();
  EXPECT_EQ(state_of(key_), custody::KeyState::destroyed);
  EXPECT_TRUE(has_factors(alice_));
  EXPECT_EQ(events("key.voided").size(), 2U) << "the one of before, which the tiles had, and the one of the restore";
}

TEST_F(RestoreTest, AKeyThatWasMadeAfterTheBackupIsNamedToBeDestroyedInTheToken) {
  back_up();
  const auto made = *KeyId::parse("key-of-later");
  insert_key(made, alice_, 1);
  tell(audit::EventType::key_generated, made.text(), {{"algorithm", "p256"}, {"spki", "s"}, {"profile", "both"}, {"authorisation", "a"}});
  restore();
  commit([&](storage::Transaction& transaction) -> Status {
    auto waits = pending_keys(sealer_).find(transaction, made.text());
    if (!waits) return waits.error();
    EXPECT_TRUE(*waits);
    return {};
  });
}

TEST_F(RestoreTest, WhatIsGoneMayBeginAnewAndNoRowOfBeforeCounts) {
  back_up();
  const auto carol = *SignerId::parse("carol");
  enrol(carol, /*pin=*/true, /*seed=*/false, std::nullopt, 3);
  restore();
  enrol(carol, /*pin=*/true, /*seed=*/false, std::nullopt, 4);
  EXPECT_TRUE(has_factors(carol));
  start();
  EXPECT_TRUE(has_factors(carol));
}

TEST_F(RestoreTest, EveryTicketAndSadOfBeforeIsOfAnotherEpoch) {
  back_up();
  destroy_key(key_);
  restore();
  const auto first = restored();
  EXPECT_GE(first.epochs, static_cast<std::uint64_t>(unix_seconds(clock_->now())));
  std::filesystem::remove(folder_ / "backup.db");
  back_up();
  destroy_key(bobs_key_);
  restore();
  EXPECT_GT(restored().epochs, first.epochs) << "within the same second, too";
}

TEST_F(RestoreTest, RequestsThatMayHaveBeenUsedBeforeAreNotTaken) {
  const auto now = clock_->now();
  const Restored none, last{.epochs = 1, .at = now};
  const auto fresh = [&](const Restored& restored, std::chrono::seconds age) {
    return check_fresh(ManagementRequest{.op = {}, .rid = {}, .issued = now - age, .sam = {}, .body = {}}, restored, now);
  };
  EXPECT_TRUE(fresh(none, std::chrono::seconds(1)));
  expect_refused(fresh(last, std::chrono::seconds(1)), ErrorCode::not_authorised);
  expect_refused(fresh(last, std::chrono::seconds(-30)), ErrorCode::not_authorised);
  EXPECT_FALSE(last.may_be_of_before(now + std::chrono::seconds(31), management_clock_tolerance));
}

TEST_F(RestoreTest, OpenProposalsAreOver) {
  const auto put = [&](const std::string& id, ProposalState state) {
    commit([&](storage::Transaction& transaction) {
      const Proposal proposal{.id = id,
                              .operation = Operation::change_roles,
                              .payload = "{}",
                              .proposed_by = *UserId::parse("adm-1"),
                              .proposer = "PNOGR-ADM1",
                              .maker = {},
                              .made = clock_->now(),
                              .ends = clock_->now() + std::chrono::hours(24),
                              .state = state,
                              .approved_by = "off-1"};
      return sealed::Table(sealer_, "proposals", sealed::Rollback::refused).insert(transaction, id, encode(proposal));
    });
  };
  put("approved-one", ProposalState::approved);
  back_up();
  destroy_key(key_);
  restore();
  commit([&](storage::Transaction& transaction) -> Status {
    auto found = sealed::Table(sealer_, "proposals", sealed::Rollback::refused).find(transaction, "approved-one");
    if (!found) return found.error();
    EXPECT_LE(parse_proposal((*found)->content.reveal())->ends, clock_->now());
    return {};
  });
}

TEST_F(RestoreTest, WhoWasSuspendedAfterTheBackupStaysSoAndApprovesNothing) {
  back_up();
  tell(audit::EventType::user_changed, "off-1", {{"change", "suspended"}, {"reason", "left"}});
  tell(audit::EventType::user_changed, "adm-2", {{"change", "locked"}, {"reason", "refused requests"}});
  bring_back();
  auto found = read();
  ASSERT_TRUE(found) << found.error().detail;
  const auto statement = *found->make_statement();
  EXPECT_EQ(json::parse(statement)->at("users_suspended"), Value::array({"off-1"}));
  expect_refused(found->perform(statement, {approval(admin_, statement), approval(officer_, statement)}), ErrorCode::not_authorised);
}

TEST_F(RestoreTest, TwoPersonsApproveThisStatementForThisSam) {
  back_up();
  destroy_key(key_);
  bring_back();
  auto found = read();
  ASSERT_TRUE(found) << found.error().detail;
  const auto statement = *found->make_statement();
  const auto other = statement + " ";
  const User impostor{"off-1", "security-officer"}, stranger{"off-9", "security-officer"};
  const auto good = approval(admin_, statement);
  struct Case {
    const char* what;
    std::vector<std::string> approvals;
    ErrorCode code;
  };
  const std::vector<Case> cases = {
      {"nobody", {}, ErrorCode::not_authorised},
      {"one", {good}, ErrorCode::not_authorised},
      {"the same one twice", {good, good}, ErrorCode::not_authorised},
      {"two administrators", {good, approval(second_admin_, statement)}, ErrorCode::not_authorised},
      {"officer alone", {approval(officer_, statement)}, ErrorCode::not_authorised},
      {"an auditor in the officer's place", {good, approval(auditor_, statement)}, ErrorCode::not_authorised},
      {"a stranger", {good, approval(stranger, statement)}, ErrorCode::not_authorised},
      {"no JWS", {good, "approved"}, ErrorCode::invalid_request},
      {"another statement", {good, approval(officer_, other)}, ErrorCode::binding_mismatch},
      {"another SAM", {good, approval(officer_, statement, "another")}, ErrorCode::not_authorised},
  };
  for (const auto& [what, approvals, code] : cases) {
    SCOPED_TRACE(what);
    expect_refused(found->perform(statement, approvals), code);
  }
  EXPECT_FALSE(found->perform(statement, {good, approval(impostor, statement)})) << "signed with a key of another one";
  EXPECT_FALSE(found->perform(statement, {good, approval(officer_, statement, "sam", "intaglio-manage+jwt")}))
      << "a request is no approval";
  EXPECT_TRUE(found->perform(statement, {good, approval(officer_, statement)}));
}

TEST_F(RestoreTest, AStatementIsOfWhatIsThereAndOfToday) {
  back_up();
  destroy_key(key_);
  bring_back();
  auto found = read();
  ASSERT_TRUE(found) << found.error().detail;
  const auto statement = *found->make_statement();
  const auto perform = [&](Restore& restore, const std::string& text) {
    return restore.perform(text, {approval(admin_, text), approval(officer_, text)});
  };
  auto changed = *json::parse(statement);
  changed["void"]["keys"] = 0;
  expect_refused(perform(*found, json::encode(changed)), ErrorCode::binding_mismatch);
  expect_refused(perform(*found, "{}"), ErrorCode::invalid_request);
  expect_refused(perform(*found, "yes"), ErrorCode::invalid_request);
  clock_->advance(std::chrono::hours(24) + std::chrono::seconds(1));
  expect_refused(perform(*found, statement), ErrorCode::ticket_expired);
  clock_->lose_synchronisation();
  EXPECT_FALSE(perform(*found, *found->make_statement()));
  clock_->find_synchronisation();
  EXPECT_TRUE(perform(*found, *found->make_statement()));
}

TEST_F(RestoreTest, APasskeyThatWasMovedMoreOftenThanTheLogTellsIsNotBelieved) {
  back_up();
  ASSERT_TRUE(attempt(alice_, pin_, answer()));
  restore();
  EXPECT_FALSE(has_factors(alice_));
}

TEST_F(RestoreTest, RowsOfBeforeInADatabaseWithItsWholeLogBringNobodyAndNoPolicyBack) {
  const auto old_users = row_of("privileged-users");
  commit([&](storage::Transaction& transaction) -> Status {
    const UserRegistry registry(sealer_);
    auto loaded = registry.load(transaction);
    if (!loaded) return loaded.error();
    loaded->users.find("adm-2")->suspend();
    return registry.store(transaction, *loaded);
  });
  tell(audit::EventType::user_changed, "adm-2", {{"change", "suspended"}, {"reason", "left"}});
  ASSERT_TRUE(log_->checkpoint_now());
  put_row("privileged-users", old_users);
  {
    auto found = read();
    ASSERT_TRUE(found) << found.error().detail;
    const auto statement = *found->make_statement();
    EXPECT_EQ(json::parse(statement)->at("users_suspended"), Value::array({"adm-2"}));
    expect_refused(found->perform(statement, {approval(second_admin_, statement), approval(officer_, statement)}),
                   ErrorCode::not_authorised);
  }
  start();
  const auto old_policy = row_of("policy");
  commit([&](storage::Transaction& transaction) -> Status {
    auto found = state().find(transaction, "policy");
    if (!found) return found.error();
    return state().update(transaction, "policy", (*found)->version, as_bytes("a later policy"));
  });
  put_row("policy", old_policy);
  expect_refused(read(), ErrorCode::conflict);
  expect_refused(read(to_bytes(document_)), ErrorCode::conflict);
}

TEST_F(RestoreTest, WithLostEntriesAPolicyIsAskedForThatIsNewerThanTheBackup) {
  ASSERT_TRUE(log_->checkpoint_now());
  back_up();
  std::filesystem::copy(folder_ / "audit", folder_ / "audit.kept", std::filesystem::copy_options::recursive);
  commit([&](storage::Transaction& transaction) -> Status {
    auto found = state().find(transaction, "policy");
    if (!found) return found.error();
    return state().update(transaction, "policy", (*found)->version, as_bytes(document_));
  });
  tell(audit::EventType::policy_installed, "later", {{"policy_digest", encode_base64url(crypto::sha256(as_bytes(document_)))}});
  bring_back();
  std::filesystem::remove_all(folder_ / "audit");
  std::filesystem::rename(folder_ / "audit.kept", folder_ / "audit");
  expect_refused(read(), ErrorCode::conflict);
  const auto given = read(to_bytes(document_));
  ASSERT_TRUE(given) << given.error().detail;
  EXPECT_EQ(json::parse(*given->make_statement())->at("policy").at("newer_than_backup"), true);
}

TEST_F(RestoreTest, ADeviceThatWasReplacedAfterTheBackupTakesTheSignersFactorsWithIt) {
  const auto replace = [&](const crypto::SoftwareKey& device) {
    commit([&](storage::Transaction& transaction) -> Status {
      auto found = factors_->signers().find(transaction, bob_.text());
      if (!found) return found.error();
      auto record = parse_signer((*found)->content.reveal());
      if (!record) return record.error();
      return factors_->devices().put(transaction, *record, Device{.spki = device.public_key().spki(), .registered = 1}, /*alone=*/true);
    });
  };
  replace(**crypto::SoftwareKey::generate());
  back_up();
  replace(**crypto::SoftwareKey::generate());
  restore();
  EXPECT_FALSE(has_factors(bob_));
  EXPECT_EQ(state_of(bobs_key_), custody::KeyState::destroyed);
  EXPECT_TRUE(has_factors(alice_));
}

TEST_F(RestoreTest, APolicyThatWasInstalledAfterTheBackupIsNeeded) {
  back_up();
  auto later = *json::parse(document_);
  later["id"] = "later";
  const auto document = to_bytes(json::encode(later));
  tell(audit::EventType::policy_installed, "later", {{"policy_digest", encode_base64url(crypto::sha256(document))}});
  bring_back();
  expect_refused(read(), ErrorCode::conflict);
  expect_refused(read(to_bytes(document_)), ErrorCode::conflict);
  perform(document);
  start();
  commit([&](storage::Transaction& transaction) -> Status {
    auto policy = state().find(transaction, "policy");
    if (!policy) return policy.error();
    EXPECT_EQ(to_bytes((*policy)->content.reveal()), document);
    return {};
  });
}

TEST_F(RestoreTest, OneThatWasCutOffBeforeTheAnchorIsFinishedOnTheWordOfThoseWhoApprovedIt) {
  back_up();
  destroy_key(key_);
  bring_back();
  const auto anchor = *read_file(folder_ / "anchor/sam", 65536);
  std::filesystem::copy(folder_ / "audit", folder_ / "audit.kept", std::filesystem::copy_options::recursive);
  perform();
  close();
  // As the crash would leave it: neither anchor nor tiles know of it, nor does the database of newer tiles.
  ASSERT_TRUE(write_file_durably(folder_ / "anchor/sam", anchor, 0600));
  std::filesystem::remove_all(folder_ / "audit");
  std::filesystem::rename(folder_ / "audit.kept", folder_ / "audit");
  open_database();
  commit([](storage::Transaction& transaction) -> Status {
    auto unmarked = transaction.execute("UPDATE audit_tree SET size = 0", {});
    return unmarked ? Status() : Status(unmarked.error());
  });
  {
    auto again = read();
    ASSERT_TRUE(again) << again.error().detail;
    expect_refused(again->perform("{}", {}), ErrorCode::conflict);
    const auto finished = again->finish_what_was_begun();
    ASSERT_TRUE(finished) << finished.error().detail;
    EXPECT_TRUE(*finished);
  }
  start();
  EXPECT_EQ(state_of(key_), custody::KeyState::destroyed);
}

TEST_F(RestoreTest, EntriesBeyondTheAnchorAreNoRestoreThatWasBegun) {
  ASSERT_TRUE(log_->checkpoint_now());
  const auto anchor = *read_file(folder_ / "anchor/sam", 65536);
  std::filesystem::copy(folder_ / "audit", folder_ / "audit.kept", std::filesystem::copy_options::recursive);
  tell(audit::EventType::factors_locked, "alice", {{"reason", "r"}, {"until", "u"}});
  close();
  ASSERT_TRUE(write_file_durably(folder_ / "anchor/sam", anchor, 0600));
  std::filesystem::remove_all(folder_ / "audit");
  std::filesystem::rename(folder_ / "audit.kept", folder_ / "audit");
  open_database();
  auto found = read();
  ASSERT_TRUE(found) << found.error().detail;
  expect_refused(found->finish_what_was_begun(), ErrorCode::conflict);
}

}  // namespace
}  // namespace intaglio::sam
