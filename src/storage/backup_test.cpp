#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "storage/database.h"

namespace intaglio::storage {
namespace {

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-backup-XXXXXX";
    folder_ = mkdtemp(name.data());
    database_ = *open_sqlite(folder_ / "a.db");
    EXPECT_TRUE(database_->migrate({{1, "CREATE TABLE pairs (id INTEGER PRIMARY KEY, twin INTEGER)"}}));
  }
  ~BackupTest() override {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  /// Two rows in one transaction.
  Status insert_pair(std::int64_t id) {
    return database_->write([&](Transaction& transaction) -> Status {
      for (const auto& [one, twin] : {std::pair{2 * id, 2 * id + 1}, {2 * id + 1, 2 * id}}) {
        auto done = transaction.execute("INSERT INTO pairs (id, twin) VALUES (?1, ?2)", {one, twin});
        if (!done) return done.error();
      }
      return {};
    });
  }
  static std::int64_t count(Database& database, std::string_view sql) {
    std::int64_t counted = -1;
    auto read = database.read([&](Reader& reader) {
      return reader.query(sql, {}, [&](const Row& row) {
        counted = row.integer(0);
        return false;
      });
    });
    EXPECT_TRUE(read) << read.error().detail;
    return counted;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Database> database_;
};

TEST_F(BackupTest, HoldsWhatOneCommitLeftWhileTheOwnerGoesOn) {
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> written = 0;
  std::thread writer([&] {
    while (!stop) {
      ASSERT_TRUE(insert_pair(written));
      ++written;
    }
  });
  while (written < 10) std::this_thread::yield();
  for (int round = 0; round < 5; ++round) {
    const auto copy = folder_ / ("copy-" + std::to_string(round));
    const auto before = written.load();
    const auto made = back_up_sqlite(folder_ / "a.db", copy);
    ASSERT_TRUE(made) << made.error().detail;
    const auto kept = *open_sqlite_read_only(copy);
    EXPECT_GE(count(*kept, "SELECT COUNT(*) FROM pairs"), 2 * before);
    EXPECT_EQ(count(*kept, "SELECT COUNT(*) FROM pairs WHERE twin NOT IN (SELECT id FROM pairs)"), 0) << "half a transaction";
  }
  stop = true;
  writer.join();
}

TEST_F(BackupTest, IsServedFromAsTheDatabaseItself) {
  ASSERT_TRUE(insert_pair(1));
  ASSERT_TRUE(back_up_sqlite(folder_ / "a.db", folder_ / "b.db"));
  ASSERT_TRUE(insert_pair(2));
  database_ = *open_sqlite(folder_ / "b.db");
  EXPECT_EQ(count(*database_, "SELECT COUNT(*) FROM pairs"), 2);
  EXPECT_TRUE(insert_pair(3));
}

TEST_F(BackupTest, ReplacesNoFileAndIsForItsOwnerAlone) {
  ASSERT_TRUE(insert_pair(1));
  ASSERT_TRUE(back_up_sqlite(folder_ / "a.db", folder_ / "b.db"));
  struct stat told {};
  ASSERT_EQ(::stat((folder_ / "b.db").c_str(), &told), 0);
  EXPECT_EQ(told.st_mode & 0777U, 0600U);
  const auto again = back_up_sqlite(folder_ / "a.db", folder_ / "b.db");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
}

TEST_F(BackupTest, LeavesNothingWhenItFails) {
  EXPECT_FALSE(back_up_sqlite(folder_ / "none.db", folder_ / "b.db"));
  std::ofstream(folder_ / "text.db") << std::string(8192, 'x');
  EXPECT_FALSE(back_up_sqlite(folder_ / "text.db", folder_ / "b.db"));
  EXPECT_FALSE(back_up_sqlite(folder_ / "a.db", folder_ / "no/such/folder/b.db"));
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) EXPECT_NE(entry.path().extension(), ".part") << entry.path();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "b.db"));
}

}  // namespace
}  // namespace intaglio::storage
