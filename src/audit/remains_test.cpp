#include "audit/remains.h"

#include <gtest/gtest.h>

#include "audit/detail/anchor.h"
#include "audit/detail/tiles.h"
#include "base/file.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"
#include "json/json.h"

namespace intaglio::audit {
namespace {

const std::string origin = "intaglio/sam/test";

/// A log, backups of its database, and what an administrator does to either.
class RemainsTest : public testing::Test {
 protected:
  RemainsTest() : folder_(std::filesystem::temp_directory_path() / ("intaglio-remains-" + *crypto::random_id())) {
    std::filesystem::create_directories(folder_);
    open();
  }
  ~RemainsTest() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] LogConfig config() const {
    return {origin, folder_ / "log", folder_ / "anchor/sam",
            [key = mac_key_](ByteView running) { return to_bytes(ByteView(crypto::hmac_sha256(key, running))); }};
  }
  [[nodiscard]] std::filesystem::path file() const { return folder_ / "sam.db"; }
  void open() {
    open_database();
    auto log = Log::open(config(), *database_, key_, clock_);
    ASSERT_TRUE(log) << log.error().detail;
    log_ = std::move(*log);
  }
  void open_database() {
    database_ = *storage::open_sqlite(file());
    ASSERT_TRUE(database_->migrate(Log::migrations()));
  }
  void close() {
    log_.reset();
    database_.reset();
  }
  void record(int count) {
    for (int at = 0; at < count; ++at) {
      auto done = log_->record({EventType::signer_created, "operator:ra-1", "alice", Outcome::success, {{"request", std::to_string(at)}}});
      ASSERT_TRUE(done) << done.error().detail;
    }
  }
  void integrate() { ASSERT_TRUE(log_->checkpoint_now()); }
  void keep(const std::string& what, const std::string& as) {
    std::filesystem::remove_all(folder_ / as);
    std::filesystem::copy(folder_ / what, folder_ / as, std::filesystem::copy_options::recursive);
  }
  void put_back(const std::string& what, const std::string& as) {
    std::filesystem::remove_all(folder_ / as);
    std::filesystem::copy(folder_ / what, folder_ / as, std::filesystem::copy_options::recursive);
  }
  void back_up() { ASSERT_TRUE(storage::back_up_sqlite(file(), folder_ / "backup.db")); }
  /// The SAM is gone; the backup stands where the database stood.
  void bring_back() {
    close();
    for (const auto* name : {"sam.db", "sam.db-wal", "sam.db-shm"}) std::filesystem::remove(folder_ / name);
    std::filesystem::copy_file(folder_ / "backup.db", file());
    open_database();
  }
  [[nodiscard]] Result<Remains> read() { return Remains::read(config(), *database_, key_->public_key()); }
  void expect_refused(std::string_view why) {
    const auto remains = read();
    ASSERT_FALSE(remains) << "was not refused";
    EXPECT_EQ(remains.error().code, ErrorCode::audit_unavailable);
    EXPECT_NE(remains.error().detail.find(why), std::string::npos) << remains.error().detail;
  }
  /// Restores what there is and says so in one entry; leaves the log open for it.
  void restore(const Remains& remains) {
    auto log = Log::open_for_restore(config(), *database_, key_, clock_);
    ASSERT_TRUE(log) << log.error().detail;
    log_ = std::move(*log);
    auto done = database_->write([&](storage::Transaction& transaction) -> Status {
      if (auto replayed = log_->replay(transaction, remains); !replayed) return replayed;
      auto appended = log_->append(transaction, {EventType::process_stopped, "restore", "node", Outcome::success, {}});
      return appended ? Status() : Status(appended.error());
    });
    ASSERT_TRUE(done) << done.error().detail;
  }
  void expect_good_log(std::uint64_t entries) {
    close();
    open();
    integrate();
    EXPECT_EQ(log_->size(), entries);
    close();
    const auto verified = verify_log(config(), file(), key_->public_key());
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_TRUE(verified->good) << (verified->findings.empty() ? "" : verified->findings.front());
    EXPECT_EQ(verified->entries, entries);
  }
  void as_administrator(const std::string& sql) {
    auto done = database_->write([&](storage::Transaction& transaction) -> Status {
      for (const auto* trigger : {"audit_entries_no_update", "audit_entries_no_delete"}) {
        if (auto dropped = transaction.execute("DROP TRIGGER IF EXISTS " + std::string(trigger), {}); !dropped) return dropped.error();
      }
      auto ran = transaction.execute(sql, {});
      return ran ? Status() : Status(ran.error());
    });
    ASSERT_TRUE(done) << done.error().detail;
  }

  const Bytes mac_key_ = Bytes(32, 0x17);
  const std::filesystem::path folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1'790'000'000));
  std::shared_ptr<crypto::SoftwareKey> key_ = *crypto::SoftwareKey::generate();
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<Log> log_;
};

TEST_F(RemainsTest, TheTilesGiveBackWhatTheBackupLacks) {
  record(300);
  back_up();
  record(700);
  const auto newest = log_->checkpoint_now();
  bring_back();

  const auto remains = read();
  ASSERT_TRUE(remains) << remains.error().detail;
  EXPECT_EQ(remains->in_database(), 300U);
  EXPECT_EQ(remains->in_tiles(), 1000U);
  EXPECT_EQ(remains->anchored(), 1000U);
  EXPECT_EQ(remains->lost(), 0U);
  std::uint64_t missing = 0;
  EXPECT_TRUE(remains->each_missing([&](std::string_view event) {
    EXPECT_EQ(*json::integer_member(*json::parse(event), "index"), static_cast<std::int64_t>(300 + missing++));
    return Status();
  }));
  EXPECT_EQ(missing, 700U);
  restore(*remains);
  ASSERT_TRUE(log_->end_restore());
  expect_good_log(1001);
}

TEST_F(RemainsTest, WhatNobodyHasAnyMoreKeepsItsPlaceInTheLog) {
  record(5);
  back_up();
  record(3);
  integrate();
  keep("log", "log.kept");
  record(4);
  bring_back();
  put_back("log.kept", "log");

  const auto remains = read();
  ASSERT_TRUE(remains) << remains.error().detail;
  EXPECT_EQ(remains->known(), 8U);
  EXPECT_EQ(remains->lost(), 4U);
  restore(*remains);
  ASSERT_TRUE(log_->end_restore());
  expect_good_log(13);
  open();
  std::vector<std::string> types;
  ASSERT_TRUE(database_->read([&](storage::Reader& reader) -> Status {
    auto selected = log_->select(reader, {.from = 8});
    if (!selected) return selected.error();
    types.reserve(selected->events.size());
    for (const auto& event : selected->events) types.push_back(*json::text_member(*json::parse(event), "type"));
    return {};
  }));
  EXPECT_EQ(types, (std::vector<std::string>{"entry.lost", "entry.lost", "entry.lost", "entry.lost", "process.stopped"}));
}

TEST_F(RemainsTest, ARestoreThatIsCutOffBeforeItsEndIsNotServedFrom) {
  record(5);
  back_up();
  record(3);
  integrate();
  keep("log", "log.kept");
  record(4);
  bring_back();
  put_back("log.kept", "log");
  {
    const auto remains = read();
    ASSERT_TRUE(remains) << remains.error().detail;
    restore(*remains);
  }
  close();
  open_database();
  const auto opened = Log::open(config(), *database_, key_, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::audit_unavailable);
  const auto remains = read();
  ASSERT_TRUE(remains) << remains.error().detail;
  EXPECT_TRUE(remains->beyond_the_anchor());
  auto log = Log::open_for_restore(config(), *database_, key_, clock_);
  ASSERT_TRUE(log) << log.error().detail;
  ASSERT_TRUE((*log)->end_restore());
  log->reset();
  expect_good_log(13);
}

TEST_F(RemainsTest, TilesThatAreOlderThanTheBackupAreEnoughUpToThere) {
  record(5);
  integrate();
  keep("log", "log.kept");
  record(3);
  back_up();
  record(1);
  bring_back();
  put_back("log.kept", "log");
  const auto remains = read();
  ASSERT_TRUE(remains) << remains.error().detail;
  EXPECT_EQ(remains->known(), 8U);
  EXPECT_EQ(remains->lost(), 1U);
  restore(*remains);
  ASSERT_TRUE(log_->end_restore());
  expect_good_log(10);
}

TEST_F(RemainsTest, TilesThatWereEditedAreRefused) {
  record(3);
  back_up();
  record(3);
  integrate();
  bring_back();
  const detail::Tiles tiles(config().directory);
  auto events = *tiles.read_bundle(0, 6);
  events[4] = to_bytes("another event");
  ASSERT_TRUE(tiles.write_bundle(0, events));
  expect_refused("do not lead to the signed checkpoint");
}

TEST_F(RemainsTest, TilesThatAreExchangedWhileTheyAreReadAreRefused) {
  record(3);
  back_up();
  record(3);
  integrate();
  bring_back();
  const auto remains = read();
  ASSERT_TRUE(remains) << remains.error().detail;
  const detail::Tiles tiles(config().directory);
  auto events = *tiles.read_bundle(0, 6);
  events[4] = to_bytes("another event");
  ASSERT_TRUE(tiles.write_bundle(0, events));
  const auto walked = remains->each_missing([](std::string_view) { return Status(); });
  ASSERT_FALSE(walked);
  EXPECT_NE(walked.error().detail.find("changed while"), std::string::npos) << walked.error().detail;
}

TEST_F(RemainsTest, ADatabaseOfAnotherHistoryIsRefused) {
  record(3);
  back_up();
  record(3);
  integrate();
  bring_back();
  as_administrator("UPDATE audit_entries SET running = x'" + std::string(64, '7') + "' WHERE idx = 2");
  expect_refused("are not the first 3 of the log");
}

TEST_F(RemainsTest, ADatabaseWhoseEntriesBeyondTheTilesBeginElsewhereIsRefused) {
  record(3);
  integrate();
  keep("log", "log.kept");
  record(3);
  back_up();
  record(1);
  bring_back();
  put_back("log.kept", "log");
  as_administrator("UPDATE audit_entries SET running = x'" + std::string(64, '7') + "' WHERE idx = 2");
  expect_refused("are not those of the tiles");
}

TEST_F(RemainsTest, EntriesBeyondTheTilesThatThisLogDidNotWriteAreRefused) {
  record(3);
  integrate();
  keep("log", "log.kept");
  record(3);
  back_up();
  record(1);
  bring_back();
  put_back("log.kept", "log");
  as_administrator("UPDATE audit_entries SET mac = x'00' WHERE idx = 4");
  expect_refused("was not written by this log");
}

TEST_F(RemainsTest, AnOldAnchorIsRefused) {
  record(3);
  back_up();
  keep("anchor", "anchor.kept");
  record(3);
  integrate();
  bring_back();
  put_back("anchor.kept", "anchor");
  expect_refused("it is an old copy");
}

TEST_F(RemainsTest, AnAnchorOfAnotherLogIsRefused) {
  record(3);
  back_up();
  record(3);
  integrate();
  bring_back();
  std::filesystem::remove(config().anchor);
  ASSERT_TRUE(detail::Anchor::open(config().anchor, detail::Head{6, crypto::sha256(as_bytes("another"))}));
  expect_refused("vouches for another log");
}

TEST_F(RemainsTest, ACheckpointOfAnotherKeyIsRefused) {
  record(3);
  back_up();
  integrate();
  bring_back();
  const auto other = *crypto::SoftwareKey::generate();
  EXPECT_FALSE(Remains::read(config(), *database_, other->public_key()));
  std::filesystem::remove(config().directory / "checkpoint");
  expect_refused("the checkpoint cannot be read");
}

}  // namespace
}  // namespace intaglio::audit
