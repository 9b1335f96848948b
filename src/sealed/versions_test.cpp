#include "sealed/versions.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <csignal>

#include "base/file.h"
#include "sealed/brought_back.h"
#include "sealed/table.h"
#include "sealed/testing.h"

namespace intaglio::sealed {
namespace {

class VersionsTest : public testing::Test {
 protected:
  VersionsTest() {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-versions-XXXXXX";
    folder_ = mkdtemp(name.data());
    start();
    EXPECT_TRUE(write([](storage::Transaction& transaction) {
      auto done = transaction.execute("CREATE TABLE things (id TEXT PRIMARY KEY, version INTEGER, record BLOB)", {});
      return done ? Status() : Status(done.error());
    }));
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(folder_);
  }
  void start() {
    database_ = *storage::open_sqlite(folder_ / "sam.db");
    EXPECT_TRUE(database_->migrate(Sealer::migrations()));
    auto sealer = try_open();
    ASSERT_TRUE(sealer) << sealer.error().detail;
    sealer_ = *sealer;
    things_.emplace(sealer_, "things", Rollback::refused);
  }
  [[nodiscard]] Result<std::shared_ptr<Sealer>> try_open() {
    return open_testing_sealer(*database_, Bytes(32, 0x42), std::make_shared<ManualClock>(from_unix_seconds(1'790'000'000)), file());
  }
  void stop() {
    things_.reset();
    sealer_.reset();
    database_.reset();
  }
  /// Without a sealer, as an administrator has it.
  void open_database_alone() {
    stop();
    database_ = *storage::open_sqlite(folder_ / "sam.db");
  }
  void restart() {
    stop();
    start();
  }
  [[nodiscard]] std::filesystem::path file() const { return folder_ / "anchor/versions"; }
  Status write(const std::function<Status(storage::Transaction&)>& work) { return database_->write(work); }
  void as_administrator(std::string_view sql) {
    EXPECT_TRUE(write([&](storage::Transaction& transaction) {
      auto done = transaction.execute(sql, {});
      return done ? Status() : Status(done.error());
    }));
  }
  void insert() {
    ASSERT_TRUE(write([&](storage::Transaction& transaction) { return things_->insert(transaction, "alice", to_bytes("0 failures")); }));
  }
  void update(std::uint64_t version) {
    ASSERT_TRUE(
        write([&](storage::Transaction& transaction) { return things_->update(transaction, "alice", version, to_bytes("failed")); }));
  }
  /// What a decision meets: the version that it finds, 0 for none, or the refusal.
  [[nodiscard]] Result<std::uint64_t> decide() {
    std::uint64_t version = 0;
    auto done = write([&](storage::Transaction& transaction) -> Status {
      auto found = things_->find(transaction, "alice");
      if (!found) return found.error();
      version = *found ? (*found)->version : 0;
      return {};
    });
    if (!done) return done.error();
    return version;
  }
  void keep_row() { as_administrator("CREATE TABLE kept AS SELECT * FROM things"); }
  void put_row_back() {
    as_administrator("DELETE FROM things");
    as_administrator("INSERT INTO things SELECT * FROM kept");
  }
  /// As many entries as the file holds, of records that nobody has.
  void note_others(std::uint64_t count) {
    ASSERT_TRUE(write([&](storage::Transaction& transaction) -> Status {
      for (std::uint64_t version = 1; version <= count; ++version)
        sealer_->versions().note(transaction, "things", to_bytes("bob"), version);
      return {};
    }));
  }
  void change_file(std::int64_t at) {
    auto content = *read_file(file(), 1U << 24U);
    content.at(static_cast<std::size_t>(at < 0 ? static_cast<std::int64_t>(content.size()) + at : at)) ^= 0x80U;
    ASSERT_TRUE(write_file_durably(file(), content, 0600));
  }
  static constexpr std::size_t entry = 40, magic = 16;

  std::filesystem::path folder_;
  std::unique_ptr<storage::Database> database_;
  std::shared_ptr<Sealer> sealer_;
  std::optional<Table> things_;
};

TEST_F(VersionsTest, RefusesARowThatWasPutBackWhileServingAndAfterARestart) {
  insert();
  keep_row();
  update(1);
  EXPECT_EQ(*decide(), 2U);
  put_row_back();
  for (int again = 0; again < 2; ++again) {
    auto refused = decide();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
    EXPECT_EQ(refused.error().detail, "sealed record refused: table things: put back to version 1, it has been of version 2");
    restart();
  }
}

TEST_F(VersionsTest, RefusesARowThatWasPutBackToBeforeWhatAnotherNodeWroteOnceItWasMet) {
  insert();
  keep_row();
  {
    std::filesystem::create_directories(folder_ / "other");
    ASSERT_TRUE(Versions::make(folder_ / "other/versions"));
    const auto other = open_testing_sealer(*database_, Bytes(32, 0x42), std::make_shared<ManualClock>(from_unix_seconds(1'790'000'000)),
                                           folder_ / "other/versions");
    ASSERT_TRUE(other) << other.error().detail;
    const Table theirs(*other, "things", Rollback::refused);
    ASSERT_TRUE(write([&](storage::Transaction& transaction) { return theirs.update(transaction, "alice", 1, to_bytes("failed")); }));
  }
  EXPECT_EQ(*decide(), 2U);
  put_row_back();
  for (int again = 0; again < 2; ++again) {
    const auto refused = decide();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
    restart();
  }
}

TEST_F(VersionsTest, LetsNoEarlierRowOvertakeTheLatestByBeingUpdated) {
  insert();
  keep_row();
  update(1);
  put_row_back();
  auto refused = write([&](storage::Transaction& transaction) { return things_->update(transaction, "alice", 1, to_bytes("again")); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
  EXPECT_FALSE(decide());
}

TEST_F(VersionsTest, RefusesARowThatWasRemovedWhileServingAndAfterARestart) {
  insert();
  as_administrator("DELETE FROM things");
  for (int again = 0; again < 2; ++again) {
    auto refused = decide();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "sealed record refused: table things: removed, it has been of version 1");
    restart();
  }
}

TEST_F(VersionsTest, LetsNoRecordBeginAnewAfterItWasRemoved) {
  insert();
  as_administrator("DELETE FROM things");
  auto refused = write([&](storage::Transaction& transaction) { return things_->insert(transaction, "alice", to_bytes("0 failures")); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
}

TEST_F(VersionsTest, KnowsNothingOfARecordThatNeverWas) {
  EXPECT_EQ(*decide(), 0U);
  EXPECT_EQ(sealer_->versions().size(), 0U);
}

TEST_F(VersionsTest, KnowsNothingOfWorkThatWasRefused) {
  insert();
  EXPECT_FALSE(write([&](storage::Transaction& transaction) -> Status {
    if (auto updated = things_->update(transaction, "alice", 1, to_bytes("failed")); !updated) return updated;
    EXPECT_TRUE(things_->find(transaction, "alice")) << "its own change is ahead of what was committed";
    return Error{ErrorCode::limit_exceeded, "refused after all"};
  }));
  EXPECT_EQ(*decide(), 1U);
  restart();
  EXPECT_EQ(*decide(), 1U);
}

TEST_F(VersionsTest, TakesADatabaseThatIsAheadAsACrashLeavesIt) {
  insert();
  const auto earlier = *read_file(file(), 1U << 20U);
  update(1);
  stop();
  ASSERT_TRUE(write_file_durably(file(), earlier, 0600));
  start();
  EXPECT_EQ(*decide(), 2U);
}

TEST_F(VersionsTest, LetsNothingBeReleasedThatItCouldNotWriteDown) {
  insert();
  note_others(30'000);
  // No file of this process may grow beyond the one that is the largest: the database can, the versions cannot.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  auto full = unlimited;
  full.rlim_cur = std::filesystem::file_size(file());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  auto refused = write([&](storage::Transaction& transaction) { return things_->update(transaction, "alice", 1, to_bytes("failed")); });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
  keep_row();
  update(2);
  put_row_back();
  restart();
  auto put_back = decide();
  ASSERT_FALSE(put_back) << "what could not be written then is written with what comes next";
}

TEST_F(VersionsTest, DoesNotStartWithoutItsFile) {
  insert();
  open_database_alone();
  std::filesystem::remove(file());
  auto refused = try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
}

TEST_F(VersionsTest, DoesNotTakeANewDatabaseForTheOneThatItKnew) {
  insert();
  stop();
  for (const auto* suffix : {"", "-wal", "-shm"}) std::filesystem::remove((folder_ / "sam.db").string() + suffix);
  database_ = *storage::open_sqlite(folder_ / "sam.db");
  ASSERT_TRUE(database_->migrate(Sealer::migrations()));
  auto refused = try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
}

TEST_F(VersionsTest, DropsATornEndAndBelievesNothingOfIt) {
  insert();
  stop();
  change_file(-static_cast<std::int64_t>(entry) + 16);  // the version of alice's entry
  start();
  EXPECT_EQ(std::filesystem::file_size(file()), magic);
  EXPECT_EQ(*decide(), 1U);
  keep_row();
  update(1);
  put_row_back();
  EXPECT_FALSE(decide()) << "what is written after the torn end counts";
}

TEST_F(VersionsTest, DoesNotStartOnAFileThatIsDamagedBeforeItsEnd) {
  insert();
  note_others(3000);
  open_database_alone();
  change_file(static_cast<std::int64_t>(magic) + 3);
  auto refused = try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
}

TEST_F(VersionsTest, WritesItsFileAnewWhenMostOfItIsOvertaken) {
  insert();
  note_others(70'000);
  EXPECT_GT(std::filesystem::file_size(file()), 70'000 * entry);
  keep_row();
  update(1);
  EXPECT_EQ(std::filesystem::file_size(file()), magic + 2 * entry);
  put_row_back();
  restart();
  EXPECT_FALSE(decide());
}

/// What a backup of two versions ago holds, with what the file knows.
TEST_F(VersionsTest, ADatabaseThatIsBroughtBackIsSurveyedAndBroughtForward) {
  insert();
  ASSERT_TRUE(write([&](storage::Transaction& transaction) { return things_->insert(transaction, "steady", to_bytes("the same")); }));
  keep_row();
  update(1);
  update(2);
  ASSERT_TRUE(write([&](storage::Transaction& transaction) { return things_->insert(transaction, "later", to_bytes("made since")); }));
  put_row_back();
  restart();

  constexpr std::array<std::string_view, 1> tables{"things"};
  std::optional<Survey> found;
  ASSERT_TRUE(database_->read([&](storage::Reader& reader) -> Status {
    auto read = survey(reader, sealer_->versions(), tables);
    if (!read) return read.error();
    found = std::move(*read);
    return {};
  }));
  ASSERT_EQ(found->behind().size(), 1U);
  EXPECT_EQ(found->behind().front()->id, "alice");
  EXPECT_EQ(found->behind().front()->reached, 3U);
  EXPECT_EQ(found->rows.size(), 2U);
  EXPECT_EQ(found->absent, 1U);
  ASSERT_TRUE(write([&](storage::Transaction& transaction) { return bring_forward(transaction, *sealer_, *found); }));

  for (int start = 0; start < 2; ++start) {
    const auto version = decide();
    ASSERT_TRUE(version) << version.error().detail;
    EXPECT_EQ(*version, 4U);
    restart();
  }
  update(4);
}

TEST_F(VersionsTest, ARecordThatARestoreGaveUpBeginsAnewAndNoRowOfBeforeCounts) {
  insert();
  update(1);
  keep_row();
  as_administrator("DELETE FROM things");
  EXPECT_FALSE(decide());
  ASSERT_TRUE(write([&](storage::Transaction& transaction) -> Status {
    sealer_->versions().give_up(transaction, {});
    // In force for the rest of the transaction.
    auto found = things_->find(transaction, "alice");
    return found ? Status() : Status(found.error());
  }));
  restart();
  ASSERT_TRUE(decide());
  EXPECT_EQ(*decide(), 0U);
  put_row_back();
  EXPECT_FALSE(decide()) << "a row of before the restore was believed";
  as_administrator("DELETE FROM things");
  insert();
  EXPECT_EQ(*decide(), 3U);
  restart();
  EXPECT_EQ(*decide(), 3U);
  as_administrator("DELETE FROM things");
  EXPECT_FALSE(decide()) << "what began anew was removed without notice";
}

TEST_F(VersionsTest, WhatARefusedTransactionGaveUpIsNotInTheFile) {
  insert();
  as_administrator("DELETE FROM things");
  EXPECT_FALSE(write([&](storage::Transaction& transaction) -> Status {
    sealer_->versions().give_up(transaction, {});
    return Error{ErrorCode::conflict, "changed its mind"};
  }));
  restart();
  EXPECT_FALSE(decide());
}

}  // namespace
}  // namespace intaglio::sealed
