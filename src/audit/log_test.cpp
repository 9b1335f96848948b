#include "audit/log.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <fstream>
#include <thread>

#include "audit/commitment.h"
#include "audit/detail/anchor.h"
#include "audit/detail/checkpoint.h"
#include "audit/detail/entries.h"
#include "audit/detail/integrator.h"
#include "audit/detail/tiles.h"
#include "base/file.h"
#include "crypto/symmetric.h"
#include "json/json.h"

namespace intaglio::audit {
namespace {

const std::string origin = "intaglio/sam/test";

/// What a database administrator can do: anything, triggers or not. Statements are separated by semicolons.
void as_administrator(storage::Database& database, std::string_view sql) {
  auto done = database.write([&](storage::Transaction& transaction) -> Status {
    for (const auto* trigger : {"audit_entries_no_update", "audit_entries_no_delete", "audit_tree_no_delete"}) {
      if (auto dropped = transaction.execute("DROP TRIGGER IF EXISTS " + std::string(trigger), {}); !dropped) return dropped.error();
    }
    for (auto rest = sql; !rest.empty();) {
      const auto end = std::min(rest.find(';'), rest.size());
      if (auto ran = transaction.execute(rest.substr(0, end), {}); !ran) return ran.error();
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return {};
  });
  ASSERT_TRUE(done) << done.error().detail;
}

void as_administrator(const std::filesystem::path& path, std::string_view sql) {
  auto database = storage::open_sqlite(path);
  ASSERT_TRUE(database);
  as_administrator(**database, sql);
}

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields intent_at(int position) {
  return {
      {"authorisation", "a1"}, {"position", std::to_string(position)}, {"suite", "rsa-pss-sha256"}, {"digest", "d"}, {"certificate", "c"}};
}

Fields outcome_of(const EntryReference& intent, int position) {
  auto fields = intent_at(position);
  fields.insert(fields.end(), {{"intent", std::to_string(intent.index)}, {"client", "demo"}, {"client_address_told_by_ssa", "192.0.2.1"}});
  return fields;
}

Fields burned_at(int position) { return {{"authorisation", "a1"}, {"position", std::to_string(position)}, {"owner", "incarnation"}}; }

class LogTest : public testing::Test {
 protected:
  LogTest() : clock_(std::make_shared<ManualClock>(from_unix_seconds(1'790'000'000))) {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-audit-XXXXXX";
    folder_ = mkdtemp(name.data());
    auto key = crypto::SoftwareKey::generate();
    EXPECT_TRUE(key);
    key_ = *key;
    open();
  }
  ~LogTest() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] LogConfig config() const { return {origin, folder_ / "log", folder_ / "anchor/sam", entry_mac_}; }
  [[nodiscard]] std::filesystem::path database_path() const { return folder_ / "sam.db"; }

  [[nodiscard]] Status try_open() {
    auto database = storage::open_sqlite(database_path());
    EXPECT_TRUE(database);
    database_ = std::move(*database);
    EXPECT_TRUE(database_->migrate(Log::migrations()));
    auto log = Log::open(config(), *database_, key_, clock_);
    if (!log) return log.error();
    log_ = std::move(*log);
    return {};
  }
  void open() {
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().detail;
  }
  void close() {
    log_.reset();
    database_.reset();
  }
  void reopen() {
    close();
    open();
  }
  EntryReference record(EventType type = EventType::signer_created, Fields fields = {{"request", "r"}}) {
    auto done = log_->record({type, "operator:ra-1", "alice", Outcome::success, std::move(fields)});
    EXPECT_TRUE(done) << done.error().detail;
    return *done;
  }
  void record_many(int count) {
    EXPECT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
      for (int at = 0; at < count; ++at) {
        auto done = log_->append(
            transaction, {EventType::signer_created, "operator:ra-1", "signer", Outcome::success, {{"request", std::to_string(at)}}});
        if (!done) return done.error();
      }
      return {};
    }));
  }
  [[nodiscard]] VerifyReport verify() const {
    auto report = verify_log(config(), database_path(), key_->public_key());
    EXPECT_TRUE(report) << report.error().detail;
    return *report;
  }
  /// What verification says of the log as it is now.
  [[nodiscard]] std::vector<std::string> findings_now() {
    EXPECT_TRUE(log_->checkpoint_now());
    return verify().findings;
  }
  [[nodiscard]] std::string first_finding() {
    const auto findings = findings_now();
    return findings.empty() ? "" : findings.front();
  }
  [[nodiscard]] static std::string entry(const EntryReference& reference) { return "entry " + std::to_string(reference.index); }
  void restart_empty() {
    close();
    for (const auto& file : std::filesystem::directory_iterator(folder_)) std::filesystem::remove_all(file.path());
    open();
  }
  /// The log closed in order, changed by an administrator, verified.
  [[nodiscard]] std::string first_finding_after(const std::string& sql) {
    EXPECT_TRUE(log_->checkpoint_now());
    close();
    EXPECT_TRUE(verify().good);
    as_administrator(database_path(), sql);
    const auto report = verify();
    EXPECT_FALSE(report.good);
    return report.findings.empty() ? "" : report.findings.front();
  }

  std::filesystem::path folder_;
  std::function<Bytes(ByteView)> entry_mac_;
  std::shared_ptr<ManualClock> clock_;
  std::shared_ptr<const crypto::SoftwareKey> key_;
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogTest, AnEntryIsTheHashOfItsCanonicalEvent) {
  const auto reference = record(EventType::key_suspended, {{"reason", "a \"lost\" phone in Αθήνα"}, {"change", "suspended"}});
  EXPECT_EQ(reference.log, origin);
  EXPECT_EQ(reference.index, 0U);
  const std::string event =
      R"({"actor":"operator:ra-1","clock":"declared","fields":{"change":"suspended","reason":"a \"lost\" phone in Αθήνα"},"index":0,)"
      R"("outcome":"success","subject":"alice","time":"2026-09-21T14:13:20.000Z","type":"key.suspended"})";
  EXPECT_EQ(json::encode(*json::parse(event)), event) << "the canonical form is that of the json room";
  Bytes leaf = {0};
  append(leaf, as_bytes(event));
  EXPECT_EQ(reference.leaf, crypto::sha256(leaf));
  EXPECT_EQ(log_->size(), 1U);
}

TEST_F(LogTest, WhatIsRolledBackIsNotInTheLogAndLeavesNoGap) {
  record();
  EXPECT_FALSE(database_->write([&](storage::Transaction& transaction) -> Status {
    EXPECT_TRUE(log_->append(transaction, {EventType::key_destroyed, "a", "b", Outcome::success, {{"reason", "r"}}}));
    return Error{ErrorCode::limit_exceeded, ""};
  }));
  EXPECT_EQ(log_->size(), 1U);
  EXPECT_EQ(record().index, 1U);
  close();
  EXPECT_TRUE(verify().good);
}

TEST_F(LogTest, TheAnchorVouchesForAnEntryBeforeItsCallerIsReleased) {
  record();
  auto anchored = detail::Anchor::read(config().anchor);
  ASSERT_TRUE(anchored);
  EXPECT_EQ(anchored->size, 1U);
}

TEST_F(LogTest, AReceiptIsVerifiedWithoutTheServer) {
  record_many(300);
  EXPECT_EQ(log_->receipt(300).error().code, ErrorCode::not_found);
  ASSERT_TRUE(log_->checkpoint_now());
  for (const std::uint64_t index : {0U, 1U, 255U, 256U, 299U}) {
    auto receipt = log_->receipt(index);
    ASSERT_TRUE(receipt) << receipt.error().detail;
    EXPECT_TRUE(verify_receipt(*receipt, origin, key_->public_key()));
  }
  EXPECT_EQ(log_->receipt(300).error().code, ErrorCode::not_found);
}

TEST_F(LogTest, TheReceiptOfASignatureIsForWhoKnowsItsLeaf) {
  const auto intent = record(EventType::signature_intent, intent_at(0));
  const auto made = record(EventType::signature_made, outcome_of(intent, 0));
  ASSERT_TRUE(log_->checkpoint_now());
  const auto of_intent = *log_->receipt(intent.index);
  const auto of_signature = *log_->receipt(made.index);
  EXPECT_TRUE(check_receipt_holder(of_signature, made.leaf));
  for (const auto& refused : {check_receipt_holder(of_signature, intent.leaf), check_receipt_holder(of_intent, intent.leaf)}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::not_found);
  }
}

TEST_F(LogTest, AReceiptThatWasChangedInAnyMemberIsRefused) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  auto text = log_->receipt(2);
  auto other_text = log_->receipt(3);
  ASSERT_TRUE(text && other_text);
  const auto receipt = *json::parse(*text);
  const auto other = *json::parse(*other_text);
  for (const auto* name : {"event", "inclusion", "index", "leaf"}) {
    auto changed = receipt;
    changed[name] = other[name];
    EXPECT_FALSE(verify_receipt(json::encode(changed), origin, key_->public_key())) << name;
    changed.erase(name);
    EXPECT_FALSE(verify_receipt(json::encode(changed), origin, key_->public_key())) << name;
  }
  auto elsewhere = receipt;
  elsewhere["log"] = "intaglio/sam/other";
  EXPECT_FALSE(verify_receipt(json::encode(elsewhere), origin, key_->public_key()));
  EXPECT_FALSE(verify_receipt(*text, "intaglio/sam/other", key_->public_key()));
  auto stranger = crypto::SoftwareKey::generate();
  ASSERT_TRUE(stranger);
  EXPECT_FALSE(verify_receipt(*text, origin, (*stranger)->public_key()));
  auto note = receipt["checkpoint"].get<std::string>();
  note[note.find("\n5\n") + 1] = '6';
  auto resized = receipt;
  resized["checkpoint"] = note;
  EXPECT_FALSE(verify_receipt(json::encode(resized), origin, key_->public_key()));
}

TEST_F(LogTest, AnEntryIsIntegratedWithinASecond) {
  record();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!log_->receipt(0) && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(log_->receipt(0));
}

TEST_F(LogTest, TheCheckpointIsASignedNoteThatAnotherReaderVerifies) {
  record_many(3);
  auto note = log_->checkpoint_now();
  ASSERT_TRUE(note);
  const auto blank = note->find("\n\n");
  ASSERT_NE(blank, std::string::npos);
  const auto text = note->substr(0, blank + 1);
  EXPECT_TRUE(text.starts_with(origin + "\n3\n"));
  const std::string line_start = "\xe2\x80\x94 " + origin + ' ';
  const auto line = note->substr(blank + 2);
  ASSERT_TRUE(line.starts_with(line_start) && line.ends_with('\n'));
  auto bytes = parse_base64(std::string_view(line).substr(line_start.size(), line.size() - line_start.size() - 1));
  ASSERT_TRUE(bytes);
  const auto spki_digest = crypto::sha256(key_->public_key().spki());
  EXPECT_TRUE(std::equal(bytes->begin(), bytes->begin() + 4, spki_digest.begin()));
  EXPECT_TRUE(key_->public_key().verify(crypto::SignatureSuite::ecdsa_sha256, as_bytes(text), ByteView(*bytes).subspan(4)));
}

TEST_F(LogTest, ACheckpointOfAnotherKeyOriginOrTextIsRefused) {
  auto note = detail::sign_checkpoint({origin, 7, {}}, *key_);
  ASSERT_TRUE(note);
  EXPECT_TRUE(detail::verify_checkpoint(*note, origin, key_->public_key()));
  EXPECT_FALSE(detail::verify_checkpoint(*note, "intaglio/sam/other", key_->public_key()));
  auto stranger = crypto::SoftwareKey::generate();
  EXPECT_FALSE(detail::verify_checkpoint(*note, origin, (*stranger)->public_key()));
  const auto witnessed = *note + "\xe2\x80\x94 witness.example AAAAAAAA\n";
  EXPECT_TRUE(detail::verify_checkpoint(witnessed, origin, key_->public_key()));
  rc::check([&] {
    auto changed = *note;
    const auto at = *rc::gen::inRange<std::size_t>(0, changed.size());
    changed[at] = static_cast<char>(changed[at] ^ *rc::gen::inRange(1, 128));
    RC_ASSERT(!detail::verify_checkpoint(changed, origin, key_->public_key()));
  });
}

TEST_F(LogTest, TilesAreWhereC2spSays) {
  record_many(258);
  ASSERT_TRUE(log_->checkpoint_now());
  EXPECT_EQ(std::filesystem::file_size(config().directory / "tile/0/000"), 8192U);
  EXPECT_EQ(std::filesystem::file_size(config().directory / "tile/0/001.p/2"), 64U);
  EXPECT_EQ(std::filesystem::file_size(config().directory / "tile/1/000.p/1"), 32U);
  EXPECT_TRUE(std::filesystem::exists(config().directory / "tile/entries/000"));
  EXPECT_TRUE(std::filesystem::exists(config().directory / "tile/entries/001.p/2"));
  EXPECT_EQ(detail::Tiles::encode_index(1234067), "x001/x234/067");
  EXPECT_EQ(detail::Tiles::encode_index(0), "000");
  EXPECT_EQ(detail::Tiles::encode_index(1000), "x001/000");
}

TEST_F(LogTest, AFullTileTakesThePlaceOfItsPartialOnes) {
  record_many(200);
  ASSERT_TRUE(log_->checkpoint_now());
  EXPECT_TRUE(std::filesystem::exists(config().directory / "tile/0/000.p/200"));
  record_many(100);
  ASSERT_TRUE(log_->checkpoint_now());
  EXPECT_FALSE(std::filesystem::exists(config().directory / "tile/0/000.p"));
  EXPECT_TRUE(log_->receipt(199));
}

TEST_F(LogTest, ItGoesOnAfterReopeningAtAnySize) {
  std::uint64_t expected = 0;
  for (const int more : {1, 254, 1, 1, 300}) {
    record_many(more);
    expected += static_cast<std::uint64_t>(more);
    ASSERT_TRUE(log_->checkpoint_now());
    reopen();
    EXPECT_EQ(log_->size(), expected);
  }
  close();
  const auto report = verify();
  EXPECT_TRUE(report.good) << report.findings.front();
  EXPECT_EQ(report.entries, expected);
}

TEST_F(LogTest, UpdateAndDeleteAreRefusedByTheDatabaseItself) {
  record();
  for (const auto* sql : {"UPDATE audit_entries SET event = x'00'", "DELETE FROM audit_entries", "DELETE FROM audit_tree",
                          "INSERT OR REPLACE INTO audit_entries (idx, event, leaf, running) VALUES (0, x'00', x'00', x'00')"}) {
    ASSERT_TRUE(log_->checkpoint_now());
    EXPECT_FALSE(database_->write([&](storage::Transaction& transaction) -> Status {
      auto done = transaction.execute(sql, {});
      if (!done) return done.error();
      return {};
    })) << sql;
  }
  EXPECT_TRUE(log_->healthy());
}

TEST_F(LogTest, AnEntryOfAForeignTypeIsNamed) {
  record_many(300);
  EXPECT_EQ(first_finding_after("UPDATE audit_entries SET event = CAST(event AS TEXT) WHERE idx = 17"),
            "entry 17 was edited: its hash differs");
}

TEST_F(LogTest, AnEditedEntryIsNamed) {
  record_many(300);
  EXPECT_EQ(first_finding_after(
                "UPDATE audit_entries SET event = CAST(replace(event, '\"request\":\"17\"', '\"request\":\"71\"') AS BLOB) WHERE idx = 17"),
            "entry 17 was edited: its hash differs");
}

TEST_F(LogTest, ADroppedEntryIsNamed) {
  record_many(300);
  EXPECT_EQ(first_finding_after("DELETE FROM audit_entries WHERE idx = 42"), "entry 42 is missing");
}

TEST_F(LogTest, ADroppedEntryWhosePlaceWasClosedIsNamed) {
  record_many(300);
  EXPECT_EQ(
      first_finding_after("DELETE FROM audit_entries WHERE idx = 42;"
                          "UPDATE audit_entries SET idx = -idx WHERE idx > 42; UPDATE audit_entries SET idx = -idx - 1 WHERE idx < 0"),
      "entry 42 does not continue the chain: it or the one before was changed");
}

TEST_F(LogTest, SwappedEntriesAreNamed) {
  record_many(300);
  EXPECT_EQ(first_finding_after("UPDATE audit_entries SET idx = -1 WHERE idx = 10; UPDATE audit_entries SET idx = 10 WHERE idx = 20;"
                                "UPDATE audit_entries SET idx = 20 WHERE idx = -1"),
            "entry 10 does not continue the chain: it or the one before was changed");
}

TEST_F(LogTest, ATruncatedLogIsNoticed) {
  record_many(300);
  EXPECT_EQ(first_finding_after("DELETE FROM audit_entries WHERE idx >= 290"),
            "the log was cut: it ends before entry 290, the anchor vouches for 300 entries");
}

/// Whoever rewrites an entry and everything that follows from it in the database meets the tree.
TEST_F(LogTest, AForgedHistoryIsNamedByTheTree) {
  record_many(300);
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  auto database = storage::open_sqlite(database_path());
  ASSERT_TRUE(database);
  ASSERT_TRUE((*database)->write([](storage::Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute("DROP TRIGGER audit_entries_no_update", {}));
    std::vector<std::pair<std::int64_t, Bytes>> rows;
    auto running = detail::empty_head(origin).running;
    EXPECT_TRUE(transaction.query("SELECT idx, event FROM audit_entries ORDER BY idx", {}, [&](const storage::Row& row) {
      rows.emplace_back(row.integer(0), row.bytes(1));
      return true;
    }));
    for (auto& [index, event] : rows) {
      if (index == 100) event[22] = '9';  // operator:ra-9
      const auto leaf = detail::hash_of_leaf(event);
      running = detail::next_running(running, leaf);
      EXPECT_TRUE(transaction.execute("UPDATE audit_entries SET event = ?2, leaf = ?3, running = ?4 WHERE idx = ?1",
                                      {index, ByteView(event), ByteView(leaf), ByteView(running)}));
    }
    return {};
  }));
  database->reset();
  const auto report = verify();
  ASSERT_FALSE(report.good);
  EXPECT_EQ(report.findings.front(), "entry 100 differs from its tile");
  auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::audit_unavailable);
}

TEST_F(LogTest, ChangedTilesBundlesCheckpointsAndAnchorsAreNoticed) {
  record_many(300);
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  for (const auto* name : {"log/tile/0/000", "log/tile/0/001.p/44", "log/tile/1/000.p/1", "log/tile/entries/000",
                           "log/tile/entries/001.p/44", "log/checkpoint", "anchor/sam"}) {
    const auto file = folder_ / name;
    auto content = read_file(file, 1 << 20);
    ASSERT_TRUE(content) << name;
    auto changed = *content;
    for (std::size_t at = 20; at < changed.size(); at += 4096) changed[at] ^= 1U;
    ASSERT_TRUE(write_file_durably(file, changed, 0600));
    EXPECT_FALSE(verify().good) << name;
    std::filesystem::remove(file);
    EXPECT_FALSE(verify().good) << name;
    ASSERT_TRUE(write_file_durably(file, *content, 0600));
  }
  EXPECT_TRUE(verify().good);
}

TEST_F(LogTest, IntentsAndOutcomesAreReconciled) {
  std::vector<EntryReference> intents;
  for (int position = 0; position < 5; ++position) intents.push_back(record(EventType::signature_intent, intent_at(position)));
  record(EventType::signature_made, outcome_of(intents[0], 0));
  record(EventType::signature_redelivered, intent_at(0));
  record(EventType::signature_burned, outcome_of(intents[1], 1));
  record(EventType::reservation_burned, burned_at(2));
  // A definite refusal gives the occurrence back: it may be reserved and signed later.
  record(EventType::signature_refused, outcome_of(intents[3], 3));
  record(EventType::signature_made, outcome_of(record(EventType::signature_intent, intent_at(3)), 3));
  record(EventType::signature_refused, {{"client", "demo"}, {"reason", "sad_invalid"}, {"sad", "s"}});
  ASSERT_TRUE(log_->checkpoint_now());
  const auto report = verify();
  EXPECT_TRUE(report.good) << report.findings.front();
  EXPECT_EQ(report.signatures, 2U);
  EXPECT_EQ(report.open_intents, 1U);
}

TEST_F(LogTest, AnOutcomeThatSaysAnotherThingThanItsIntentIsNamed) {
  for (const std::string name : {"authorisation", "position", "suite", "digest", "certificate"}) {
    const auto intent = record(EventType::signature_intent, intent_at(0));
    auto fields = outcome_of(intent, 0);
    std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; })->second = "another";
    const auto outcome = record(EventType::signature_refused, fields);
    EXPECT_EQ(first_finding(), entry(outcome) + " differs in \"" + name + "\" from its intent, " + entry(intent));
    restart_empty();
  }
  for (const std::string name : {"actor", "subject"}) {
    const auto intent = record(EventType::signature_intent, intent_at(0));
    auto outcome = log_->record({EventType::signature_made, name == "actor" ? "signer:mallory" : "operator:ra-1",
                                 name == "subject" ? "another-key" : "alice", Outcome::success, outcome_of(intent, 0)});
    ASSERT_TRUE(outcome);
    EXPECT_EQ(first_finding(), entry(*outcome) + " differs in \"" + name + "\" from its intent, " + entry(intent));
    restart_empty();
  }
}

TEST_F(LogTest, AnOutcomeWithoutAnOpenIntentIsNamed) {
  const auto intent = record(EventType::signature_intent, intent_at(0));
  record(EventType::signature_refused, outcome_of(intent, 0));
  const auto second = record(EventType::signature_made, outcome_of(intent, 0));
  EXPECT_EQ(first_finding(), entry(second) + " is the outcome of an intent that is not open: 0");
  restart_empty();
  const auto nowhere = record(EventType::signature_burned, outcome_of({origin, 77, {}}, 0));
  EXPECT_EQ(first_finding(), entry(nowhere) + " is the outcome of an intent that is not open: 77");
  restart_empty();
  const auto burned = record(EventType::reservation_burned, burned_at(0));
  EXPECT_EQ(first_finding(), entry(burned) + " burns a reservation that is not open");
  restart_empty();
  const auto redelivered = record(EventType::signature_redelivered, intent_at(0));
  EXPECT_EQ(first_finding(), entry(redelivered) + " returns a signature again that no entry says was made");
}

TEST_F(LogTest, ASecondSignatureOfOneOccurrenceIsNamed) {
  const auto both = [&](EventType first, EventType second) {
    const auto one = record(EventType::signature_intent, intent_at(0));
    const auto other = record(EventType::signature_intent, intent_at(0));
    const auto used = record(first, outcome_of(one, 0));
    const auto again = record(second, outcome_of(other, 0));
    const auto findings = findings_now();
    EXPECT_EQ(findings.front(), entry(other) + " reserves an occurrence that is reserved by " + entry(one));
    EXPECT_EQ(findings.back(), entry(again) + (second == EventType::signature_made ? " signs" : " burns") + " an occurrence that was " +
                                   (first == EventType::signature_made ? "signed by " : "burned by ") + entry(used));
    restart_empty();
  };
  both(EventType::signature_made, EventType::signature_made);
  both(EventType::signature_burned, EventType::signature_made);
  both(EventType::signature_made, EventType::signature_burned);
  const auto made = record(EventType::signature_made, outcome_of(record(EventType::signature_intent, intent_at(0)), 0));
  const auto later = record(EventType::signature_intent, intent_at(0));
  EXPECT_EQ(first_finding(), entry(later) + " reserves an occurrence that was signed by " + entry(made));
}

TEST_F(LogTest, AnEventThatTheCatalogueDoesNotKnowIsNeverStored) {
  for (const Fields& fields :
       {Fields{}, Fields{{"request", "r"}, {"pin", "1"}}, Fields{{"request", "r"}, {"request", "r"}}, Fields{{"identity", "i"}}}) {
    auto refused = log_->record({EventType::signer_created, "operator:ra-1", "alice", Outcome::success, fields});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::internal);
  }
  EXPECT_EQ(log_->size(), 0U);
  EXPECT_EQ(record(EventType::signer_created, {{"request", "r"}, {"identity", "i"}}).index, 0U);
  EXPECT_TRUE(check_fields("signer.created", {"identity", "request"}));
  EXPECT_FALSE(check_fields("signer.created", {"identity"}));
  EXPECT_FALSE(check_fields("signer.invented", {}));
}

/// kill -9 between commit and anchor, or between anchor and tiles: the database is ahead.
TEST_F(LogTest, ADatabaseAheadOfAnchorAndTilesRecovers) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  const auto anchor = read_file(config().anchor, 1 << 20);
  ASSERT_TRUE(anchor);
  std::filesystem::copy(config().directory, folder_ / "log.earlier", std::filesystem::copy_options::recursive);
  record_many(4);
  close();
  std::filesystem::remove_all(config().directory);
  std::filesystem::rename(folder_ / "log.earlier", config().directory);
  ASSERT_TRUE(write_file_durably(config().anchor, *anchor, 0600));
  as_administrator(database_path(), "DELETE FROM audit_tree");
  open();
  EXPECT_EQ(log_->size(), 9U);
  record();
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  const auto report = verify();
  EXPECT_TRUE(report.good) << report.findings.front();
  EXPECT_EQ(report.entries, 10U);
}

/// With a key for entries, what stands beyond the anchor is adopted only when this log wrote it.
TEST_F(LogTest, WithAnEntryKeyARowThatSomebodyChainedOnBeyondTheAnchorIsRefused) {
  entry_mac_ = [](ByteView running) { return to_bytes(ByteView(crypto::hmac_sha256(as_bytes("entry key"), running))); };
  reopen();
  record_many(3);
  const auto anchor = read_file(config().anchor, 1 << 20);
  record_many(2);
  close();
  ASSERT_TRUE(write_file_durably(config().anchor, *anchor, 0600));
  open();
  EXPECT_EQ(log_->size(), 5U) << "our own entries after a crash are adopted";
  ASSERT_TRUE(log_->checkpoint_now());
  close();

  {
    auto database = *storage::open_sqlite(database_path());
    ASSERT_TRUE(database->write([&](storage::Transaction& transaction) -> Status {
      auto last = detail::read_entry(transaction, 4);
      if (!last) return last.error();
      detail::Entry forged{5, to_bytes("{}"), {}, {}, {}};
      forged.leaf = detail::hash_of_leaf(forged.event);
      forged.running = detail::next_running((*last)->running, forged.leaf);
      return detail::insert_entry(transaction, forged);
    }));
  }
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::audit_unavailable);
}

TEST_F(LogTest, ADatabaseBehindItsAnchorIsRefused) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  std::filesystem::copy_file(database_path(), folder_ / "earlier.db");
  open();
  record();
  close();
  std::filesystem::remove(database_path());
  std::filesystem::rename(folder_ / "earlier.db", database_path());
  auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::audit_unavailable);
}

TEST_F(LogTest, AMissingAnchorOrCheckpointIsRefusedOnceThereAreEntries) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  std::filesystem::rename(config().anchor, folder_ / "kept");
  EXPECT_FALSE(try_open());
  close();
  std::filesystem::rename(folder_ / "kept", config().anchor);
  std::filesystem::remove(config().directory / "checkpoint");
  EXPECT_FALSE(try_open());
}

TEST_F(LogTest, ATreeThatWasPutBackIsRefused) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  std::filesystem::copy(config().directory, folder_ / "earlier", std::filesystem::copy_options::recursive);
  record();
  close();
  std::filesystem::remove_all(config().directory);
  std::filesystem::rename(folder_ / "earlier", config().directory);
  auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::audit_unavailable);
}

TEST_F(LogTest, ATileThatWasChangedGivesNoReceipt) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  const auto tile = config().directory / "tile/0/000.p/5";
  auto content = read_file(tile, 1 << 20);
  ASSERT_TRUE(content);
  (*content)[0] ^= 1U;
  ASSERT_TRUE(write_file_durably(tile, *content, 0600));
  auto refused = log_->receipt(3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::audit_unavailable);
}

TEST_F(LogTest, AnEntryThatWasChangedGivesNoReceipt) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  as_administrator(*database_, "UPDATE audit_entries SET event = x'7b7d' WHERE idx = 3");
  EXPECT_FALSE(log_->receipt(3));
}

/// What the integrator meets when somebody changes entries that are not in the tree yet.
TEST_F(LogTest, EntriesThatWereChangedBeforeTheirIntegrationAreNotIntegrated) {
  for (const auto* sql :
       {"UPDATE audit_entries SET event = x'7b7d' WHERE idx = 1", "UPDATE audit_entries SET leaf = zeroblob(32) WHERE idx = 1",
        "UPDATE audit_entries SET running = zeroblob(32) WHERE idx = 1"}) {
    // The entries arrive and change in one commit, before the thread that integrates can see them.
    ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
      for (int at = 0; at < 3; ++at)
        EXPECT_TRUE(log_->append(transaction, {EventType::key_destroyed, "a", "b", Outcome::success, {{"reason", "r"}}}));
      EXPECT_TRUE(transaction.execute("DROP TRIGGER audit_entries_no_update", {}));
      EXPECT_TRUE(transaction.execute(sql, {}));
      return {};
    })) << sql;
    EXPECT_FALSE(log_->checkpoint_now()) << sql;
    EXPECT_FALSE(log_->healthy()) << sql;
    close();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    open();
  }
}

TEST_F(LogTest, ATileThatWasChangedWhileClosedStopsTheStart) {
  record_many(300);
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  const auto tile = config().directory / "tile/1/000.p/1";
  auto content = read_file(tile, 1 << 20);
  ASSERT_TRUE(content);
  (*content)[0] ^= 1U;
  ASSERT_TRUE(write_file_durably(tile, *content, 0600));
  EXPECT_FALSE(try_open());
}

TEST_F(LogTest, AnEntryOfTheUnfinishedBundleThatWasChangedWhileClosedStopsTheStart) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  close();
  as_administrator(database_path(), "UPDATE audit_entries SET event = x'7b7d' WHERE idx = 3");
  EXPECT_FALSE(try_open());
}

TEST_F(LogTest, OnlyWhatTheAnchorVouchesForIsIntegrated) {
  auto database = storage::open_sqlite(folder_ / "other.db");
  ASSERT_TRUE(database);
  ASSERT_TRUE((*database)->migrate(Log::migrations()));
  auto head = detail::empty_head(origin);
  ASSERT_TRUE((*database)->write([&](storage::Transaction& transaction) -> Status {
    for (std::uint64_t index = 0; index < 3; ++index) {
      detail::Entry entry{index, to_bytes(std::to_string(index)), {}, {}, {}};
      entry.leaf = detail::hash_of_leaf(entry.event);
      entry.running = detail::next_running(head.running, entry.leaf);
      head = {index + 1, entry.running};
      if (auto inserted = detail::insert_entry(transaction, entry); !inserted) return inserted;
    }
    return {};
  }));
  detail::Integrator integrator(origin, folder_ / "other", **database, key_);
  ASSERT_TRUE(integrator.open());
  EXPECT_FALSE(integrator.integrate({3, {}}));
  EXPECT_FALSE(integrator.integrate({4, head.running}));
  EXPECT_EQ(integrator.size(), 0U);
  EXPECT_TRUE(integrator.integrate(head));
  EXPECT_EQ(integrator.size(), 3U);
}

TEST_F(LogTest, ATornAnchorLeavesTheEarlierOne) {
  record();
  record();
  close();
  auto content = read_file(config().anchor, 1 << 20);
  ASSERT_TRUE(content);
  const auto before = detail::Anchor::read(config().anchor);
  ASSERT_TRUE(before);
  // The place of the newer head is torn in its middle.
  for (const std::size_t place : {std::size_t{0}, std::size_t{4096}}) {
    if ((*content)[place + 23] == before->size) (*content)[place + 40] ^= 0xffU;
  }
  ASSERT_TRUE(write_file_durably(config().anchor, *content, 0600));
  auto after = detail::Anchor::read(config().anchor);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->size + 1, before->size);
  open();
  EXPECT_EQ(log_->size(), 2U);
}

TEST_F(LogTest, SomebodyWhoMovesTheEndOfTheLogWhileItServesStopsIt) {
  record_many(5);
  ASSERT_TRUE(log_->checkpoint_now());
  as_administrator(*database_, "DELETE FROM audit_entries WHERE idx = 4");
  auto refused = log_->record({EventType::key_destroyed, "a", "b", Outcome::success, {{"reason", "r"}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::audit_unavailable);
  EXPECT_FALSE(log_->healthy());
}

TEST_F(LogTest, ATileFolderThatCannotBeWrittenStopsTheLogUntilItCan) {
  record_many(3);
  ASSERT_TRUE(log_->checkpoint_now());
  // A file where the folder of tiles must be: what a full or read-only disk does, and root cannot overrule it.
  std::filesystem::rename(config().directory, folder_ / "away");
  std::ofstream(config().directory) << "x";
  record_many(1);
  EXPECT_FALSE(log_->checkpoint_now());
  ASSERT_FALSE(log_->healthy());
  EXPECT_EQ(log_->healthy().error().code, ErrorCode::audit_unavailable);
  auto refused = log_->record({EventType::key_destroyed, "a", "b", Outcome::success, {{"reason", "r"}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::audit_unavailable);
  std::filesystem::remove(config().directory);
  std::filesystem::rename(folder_ / "away", config().directory);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!log_->healthy() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(log_->healthy());
  EXPECT_EQ(record().index, 4U);
}

TEST_F(LogTest, ManyWritersMakeOneChain) {
  {
    std::vector<std::jthread> threads;
    for (int writer = 0; writer < 8; ++writer) {
      threads.emplace_back([this] {
        for (int at = 0; at < 40; ++at) record();
      });
    }
  }
  EXPECT_EQ(log_->size(), 320U);
  close();
  const auto report = verify();
  EXPECT_TRUE(report.good) << report.findings.front();
  EXPECT_EQ(report.entries, 320U);
}

TEST_F(LogTest, AnEventThatIsTooLargeIsRefused) {
  auto refused = log_->record({EventType::key_destroyed, "a", "b", Outcome::success, {{"reason", std::string(70000, 'x')}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::too_large);
  EXPECT_TRUE(log_->healthy());
}

TEST(Commitment, HidesTheValueAndIsOpenedWithTheSalt) {
  const Bytes salt(16, 7);
  const Bytes other(16, 8);
  EXPECT_EQ(commitment("Maria", salt), commitment("Maria", salt));
  EXPECT_NE(commitment("Maria", salt), commitment("Maria", other));
  EXPECT_NE(commitment("Maria", salt), commitment("Marie", salt));
  EXPECT_EQ(commitment("Maria", salt).find("Maria"), std::string::npos);
}

TEST(Catalogue, HoldsExactlyTheEventTypesAndTheirFields) {
  auto content = read_file(std::filesystem::path(INTAGLIO_SOURCE_DIR) / "api/audit/events.json", 1 << 20);
  ASSERT_TRUE(content);
  auto catalogue = json::parse(as_text(*content));
  ASSERT_TRUE(catalogue) << catalogue.error().detail;
  std::vector<std::string> written;
  for (const auto& event : (*catalogue)["events"]) {
    written.push_back(event["type"].get<std::string>());
    const auto names = fields_of(static_cast<EventType>(written.size() - 1));
    std::vector<std::string_view> known = names.required;
    known.insert(known.end(), names.optional.begin(), names.optional.end());
    std::sort(known.begin(), known.end());
    std::vector<std::string_view> documented;
    for (const auto& field : event["fields"].items()) documented.emplace_back(field.key());
    EXPECT_EQ(documented, known) << written.back();
    const auto optional = event.value("optional", std::vector<std::string>());
    EXPECT_TRUE(std::equal(optional.begin(), optional.end(), names.optional.begin(), names.optional.end())) << written.back();
    EXPECT_TRUE(event["fields"].is_object() && event["meaning"].is_string() && event["subject"].is_string()) << written.back();
  }
  std::vector<std::string> types;
  for (int type = 0; type <= static_cast<int>(EventType::factors_locked); ++type) types.emplace_back(name_of(static_cast<EventType>(type)));
  EXPECT_EQ(written, types);
}

}  // namespace
}  // namespace intaglio::audit
