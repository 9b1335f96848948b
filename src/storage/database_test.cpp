#include "storage/database.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <set>
#include <thread>

#include "storage/test_support.h"

namespace intaglio::storage {
namespace {

constexpr std::string_view insert = "INSERT INTO notes (id, body) VALUES (?1, ?2)";

/// A folder that goes when the test ends.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-storage-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::filesystem::path file(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

const std::vector<Migration>& notes() {
  static const std::vector<Migration> migrations = {{1, "CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)"}};
  return migrations;
}

/// One database of notes, whatever kind it is.
class Notes {
 public:
  virtual ~Notes() = default;

 protected:
  virtual Result<std::unique_ptr<Database>> open() = 0;
  void reopen() {
    database_.reset();
    auto opened = open();
    ASSERT_TRUE(opened) << opened.error().detail;
    database_ = std::move(*opened);
    ASSERT_TRUE(database_->migrate(notes()));
  }
  Status add(std::int64_t id, ByteView body = {}) {
    return database_->write([&](Transaction& transaction) -> Status {
      auto done = transaction.execute(insert, {id, body});
      if (!done) return done.error();
      return {};
    });
  }
  [[nodiscard]] std::int64_t count() const {
    std::int64_t found = -1;
    auto read = database_->read([&](Reader& reader) {
      return reader.query("SELECT count(*) FROM notes", {}, [&](const Row& row) {
        found = row.integer(0);
        return true;
      });
    });
    EXPECT_TRUE(read) << read.error().detail;
    return found;
  }

  std::unique_ptr<Database> database_;
};

enum class Kind { sqlite, postgresql };

class DatabaseTest : public testing::TestWithParam<Kind>, protected Notes {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::postgresql) address_ = test::PostgresqlServer::instance().fresh_database();
    reopen();
  }
  Result<std::unique_ptr<Database>> open() override {
    return address_ ? open_postgresql(*address_) : open_sqlite(folder_.file("notes.db"));
  }

  Folder folder_;
  std::optional<PostgresqlAddress> address_;
};
INSTANTIATE_TEST_SUITE_P(Each, DatabaseTest, testing::Values(Kind::sqlite, Kind::postgresql),
                         [](const auto& each) { return each.param == Kind::sqlite ? "Sqlite" : "Postgresql"; });

class SqliteTest : public testing::Test, protected Notes {
 protected:
  void SetUp() override { reopen(); }
  Result<std::unique_ptr<Database>> open() override { return open_sqlite(path()); }
  [[nodiscard]] std::filesystem::path path() const { return folder_.file("notes.db"); }

  Folder folder_;
};

TEST_P(DatabaseTest, WhatWasWrittenIsThereAfterReopening) {
  const Bytes body = {0, 1, 2};
  ASSERT_TRUE(add(7, body));
  reopen();
  Bytes found;
  ASSERT_TRUE(database_->read([&](Reader& reader) {
    return reader.query("SELECT body FROM notes WHERE id = ?1", {std::int64_t{7}}, [&](const Row& row) {
      found = row.bytes(0);
      return true;
    });
  }));
  EXPECT_EQ(found, body);
}

TEST_P(DatabaseTest, NumbersTextsAndBytesComeBackAsTheyWere) {
  ASSERT_TRUE(database_->migrate({notes().front(), {2, "CREATE TABLE all_types (number INTEGER, name TEXT, body BLOB)"}}));
  const Bytes body = {0, 0xff, 0x27, 0x5c, 0x3f, 0x31};
  constexpr std::string_view name = "What's ?1, \\x and Αθήνα";
  const std::vector<std::int64_t> numbers = {0, -1, 1, INT64_MIN, INT64_MAX, -4294967296};
  ASSERT_TRUE(database_->write([&](Transaction& transaction) -> Status {
    for (const auto number : numbers) {
      auto done = transaction.execute("INSERT INTO all_types (number, name, body) VALUES (?1, ?2, ?3)", {number, name, ByteView(body)});
      EXPECT_TRUE(done) << done.error().detail;
    }
    return {};
  }));
  ASSERT_TRUE(database_->read([&](Reader& reader) {
    return reader.query("SELECT number, name, body FROM all_types WHERE name = ?1 AND name <> '?2' ORDER BY number", {name},
                        [&](const Row& row) {
                          EXPECT_NE(std::find(numbers.begin(), numbers.end(), row.integer(0)), numbers.end());
                          EXPECT_EQ(row.text(1), name);
                          EXPECT_EQ(row.bytes(2), body);
                          return true;
                        });
  }));
  auto wrong = database_->read([](Reader& reader) {
    return reader.query("SELECT name FROM all_types", {}, [](const Row& row) {
      EXPECT_EQ(row.integer(0), 0);
      return true;
    });
  });
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::storage_unavailable);
}

TEST_P(DatabaseTest, OfARefusedWorkNothingRemains) {
  auto status = database_->write([](Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{1}, nullptr}));
    return Error{ErrorCode::limit_exceeded, "no"};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(count(), 0);
}

TEST_P(DatabaseTest, AnIdentifierThatIsTakenIsAConflictAndTheWorkMayGoOn) {
  ASSERT_TRUE(add(1));
  auto status = database_->write([](Transaction& transaction) -> Status {
    auto again = transaction.execute(insert, {std::int64_t{1}, nullptr});
    EXPECT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::conflict);
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{2}, nullptr}));
    return {};
  });
  EXPECT_TRUE(status);
  EXPECT_EQ(count(), 2);
}

TEST_P(DatabaseTest, OneRefusedWorkOfAGroupDoesNotTouchTheOthers) {
  // The first work holds the writer until all others wait, so that they become one group.
  constexpr int others = 40;
  std::atomic<int> hooks = 0;
  database_->on_commit([&]() -> Status {
    ++hooks;
    return {};
  });
  std::latch writer_is_held(1);
  std::latch go_on(1);
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    EXPECT_TRUE(database_->write([&](Transaction&) -> Status {
      writer_is_held.count_down();
      go_on.wait();
      return {};
    }));
  });
  writer_is_held.wait();
  std::atomic<int> started = 0;
  for (int index = 0; index < others; ++index) {
    threads.emplace_back([&, index] {
      ++started;
      auto status = database_->write([&](Transaction& transaction) -> Status {
        EXPECT_TRUE(transaction.execute(insert, {std::int64_t{index}, nullptr}));
        if (index % 2 == 1) return Error{ErrorCode::not_authorised, "odd"};
        return {};
      });
      EXPECT_EQ(static_cast<bool>(status), index % 2 == 0);
    });
  }
  while (started < others) std::this_thread::yield();
  go_on.count_down();
  threads.clear();
  EXPECT_EQ(count(), others / 2);
  EXPECT_LE(hooks, others + 1);
}

TEST_P(DatabaseTest, AHookRunsAfterTheCommitAndBeforeTheCallerIsReleased) {
  std::int64_t seen = -1;
  database_->on_commit([&]() -> Status {
    seen = count();
    return {};
  });
  ASSERT_TRUE(add(1));
  EXPECT_EQ(seen, 1);
}

TEST_P(DatabaseTest, AHookThatRefusesIsWhatTheCallerHearsAndTheWorkStands) {
  database_->on_commit([]() -> Status { return Error{ErrorCode::audit_unavailable, "anchor"}; });
  auto status = add(1);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::audit_unavailable);
  EXPECT_EQ(count(), 1);
}

TEST_P(DatabaseTest, AWorkThatWasRefusedRunsNoHook) {
  bool ran = false;
  database_->on_commit([&]() -> Status {
    ran = true;
    return {};
  });
  EXPECT_FALSE(database_->write([](Transaction&) -> Status { return Error{ErrorCode::busy, ""}; }));
  EXPECT_FALSE(ran);
}

TEST_P(DatabaseTest, WhatIsToRunAfterTheCommitRunsBeforeTheHooksAndOnlyForWorkThatStands) {
  std::vector<std::string> order;
  database_->on_commit([&]() -> Status {
    order.emplace_back("hook");
    return {};
  });
  const auto work = [&](std::string name, Status status) {
    return database_->write([&, name, status](Transaction& transaction) -> Status {
      transaction.after_commit([&order, name] { order.push_back(name); });
      return status;
    });
  };
  EXPECT_TRUE(work("first", {}));
  EXPECT_FALSE(work("refused", Error{ErrorCode::conflict, "no"}));
  EXPECT_TRUE(work("second", {}));
  EXPECT_EQ(order, (std::vector<std::string>{"first", "hook", "second", "hook"}));
}

TEST_P(DatabaseTest, NothingRunsAfterACommitThatFailed) {
  bool ran = false;
  ASSERT_TRUE(database_->write([](Transaction& transaction) {
    auto done = transaction.execute("CREATE TABLE child (id INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)", {});
    return done ? Status() : Status(done.error());
  }));
  // The constraint is deferred: it is the commit that fails.
  EXPECT_FALSE(database_->write([&](Transaction& transaction) -> Status {
    transaction.after_commit([&] { ran = true; });
    auto done = transaction.execute("INSERT INTO child (id) VALUES (77)", {});
    return done ? Status() : Status(done.error());
  }));
  EXPECT_FALSE(ran);
}

TEST_P(DatabaseTest, ManyCallersAtOnceLoseNothing) {
  constexpr int threads = 8;
  constexpr int each = 100;
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < threads; ++caller) {
      callers.emplace_back([&, caller] {
        for (int index = 0; index < each; ++index) EXPECT_TRUE(add(caller * each + index));
      });
    }
  }
  EXPECT_EQ(count(), threads * each);
}

TEST_P(DatabaseTest, AReadSeesOneSnapshotWhateverIsWrittenMeanwhile) {
  ASSERT_TRUE(add(1));
  ASSERT_TRUE(database_->read([&](Reader& reader) -> Status {
    const auto rows = [&] {
      auto found = reader.query_one<std::int64_t>("SELECT count(*) FROM notes", {}, [](const Row& row) { return row.integer(0); });
      return found && *found ? **found : -1;
    };
    EXPECT_EQ(rows(), 1);
    EXPECT_TRUE(add(2));
    EXPECT_EQ(rows(), 1);
    return {};
  }));
  EXPECT_EQ(count(), 2);
}

TEST_P(DatabaseTest, AReaderCannotWrite) {
  auto status = database_->read(
      [](Reader& reader) { return reader.query("INSERT INTO notes (id) VALUES (1) RETURNING id", {}, [](const Row&) { return true; }); });
  EXPECT_FALSE(status);
  EXPECT_EQ(count(), 0);
}

TEST_F(SqliteTest, AFullDatabaseRefusesKeepsNothingAndRecoversByItself) {
  // The limit is one of the connection: the fresh one that follows a failure has space again.
  ASSERT_TRUE(database_->write([](Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute("PRAGMA max_page_count = 4", {}));
    return {};
  }));
  const Bytes large(1 << 20, 0x5a);
  auto status = database_->write([&](Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{1}, nullptr}));
    // A work that overlooks the failure is refused all the same.
    EXPECT_FALSE(transaction.execute(insert, {std::int64_t{2}, ByteView(large)}));
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(count(), 0);
  EXPECT_TRUE(add(2, large));
  EXPECT_EQ(count(), 1);
}

TEST_F(SqliteTest, AFileThatCannotGrowRefusesAndServesAgainWhenItCan) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = 64 * 1024;
  const Bytes large(256 * 1024, 0x11);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  auto first = add(1, large);
  auto second = add(2, large);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  for (const auto* status : {&first, &second}) {
    ASSERT_FALSE(*status);
    EXPECT_EQ(status->error().code, ErrorCode::storage_unavailable);
  }
  EXPECT_EQ(count(), 0);
  EXPECT_TRUE(add(1, large));
  reopen();
  EXPECT_EQ(count(), 1);
}

TEST_F(SqliteTest, TheFilesAreForTheOwnerAlone) {
  ASSERT_TRUE(add(1));
  for (const auto& entry : std::filesystem::directory_iterator(path().parent_path())) {
    struct stat found {};
    ASSERT_EQ(stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777U, 0600U) << entry.path();
  }
}

TEST_P(DatabaseTest, ASecondOwnerIsRefused) {
  auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
}

TEST_F(SqliteTest, AnOfflineToolReadsBesideTheOwnerAndWritesNothing) {
  ASSERT_TRUE(add(1));
  auto beside = open_sqlite_read_only(path());
  ASSERT_TRUE(beside) << beside.error().detail;
  std::int64_t found = 0;
  EXPECT_TRUE((*beside)->read([&](Reader& reader) {
    return reader.query("SELECT id FROM notes", {}, [&](const Row& row) {
      found = row.integer(0);
      return true;
    });
  }));
  EXPECT_EQ(found, 1);
  auto written = (*beside)->write([](Transaction&) -> Status { return {}; });
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::unsupported);
}

TEST_F(SqliteTest, AMissingFileIsNotMadeByReading) {
  auto opened = open_sqlite_read_only(folder_.file("none.db"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  EXPECT_FALSE(std::filesystem::exists(folder_.file("none.db")));
}

TEST_F(SqliteTest, AValueOfAnotherTypeRefusesTheQuery) {
  ASSERT_TRUE(database_->write([](Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{1}, std::string_view("text")}));
    return {};
  }));
  auto status = database_->read([](Reader& reader) {
    return reader.query("SELECT body FROM notes", {}, [](const Row& row) {
      EXPECT_TRUE(row.bytes(0).empty());
      return true;
    });
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
}

TEST_P(DatabaseTest, EmptyIsNotNull) {
  ASSERT_TRUE(add(1, ByteView{}));
  ASSERT_TRUE(database_->write([](Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{2}, ByteView{}}));
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{3}, nullptr}));
    return {};
  }));
  std::vector<bool> null;
  ASSERT_TRUE(database_->read([&](Reader& reader) {
    return reader.query("SELECT body FROM notes ORDER BY id", {}, [&](const Row& row) {
      null.push_back(row.is_null(0));
      return true;
    });
  }));
  EXPECT_EQ(null, (std::vector<bool>{false, false, true}));
}

TEST_P(DatabaseTest, TheSameStatementMayRunInsideItself) {
  for (std::int64_t id = 1; id <= 3; ++id) ASSERT_TRUE(add(id));
  constexpr std::string_view above = "SELECT id FROM notes WHERE id > ?1 ORDER BY id";
  std::vector<std::int64_t> seen;
  ASSERT_TRUE(database_->read([&](Reader& reader) {
    return reader.query(above, {std::int64_t{1}}, [&](const Row& outer) {
      seen.push_back(outer.integer(0));
      EXPECT_TRUE(reader.query(above, {outer.integer(0)}, [&](const Row& inner) {
        seen.push_back(inner.integer(0));
        return true;
      }));
      return true;
    });
  }));
  EXPECT_EQ(seen, (std::vector<std::int64_t>{2, 3, 3}));
}

TEST_P(DatabaseTest, AnAddressThatHoldsAnotherTextFindsAnotherStatement) {
  std::string sql = "SELECT 1";
  const auto run = [&] {
    std::int64_t value = 0;
    EXPECT_TRUE(database_->read([&](Reader& reader) {
      return reader.query(sql, {}, [&](const Row& row) {
        value = row.integer(0);
        return true;
      });
    }));
    return value;
  };
  EXPECT_EQ(run(), 1);
  EXPECT_EQ(run(), 1);
  sql.back() = '2';
  EXPECT_EQ(run(), 2);
}

TEST_P(DatabaseTest, AnExceptionInAWorkIsARefusal) {
  auto status = database_->write([](Transaction& transaction) -> Status {
    EXPECT_TRUE(transaction.execute(insert, {std::int64_t{1}, nullptr}));
    throw std::runtime_error("bad");
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::internal);
  EXPECT_EQ(count(), 0);
}

TEST_P(DatabaseTest, MigrationsRunOnceAndGoForward) {
  const std::vector<Migration> longer = {notes().front(), {2, "CREATE TABLE more (x INTEGER); INSERT INTO more VALUES (1);\n"}};
  EXPECT_TRUE(database_->migrate(longer));
  EXPECT_TRUE(database_->migrate(longer));
  std::int64_t rows = 0;
  EXPECT_TRUE(database_->read([&](Reader& reader) {
    return reader.query("SELECT count(*) FROM more", {}, [&](const Row& row) {
      rows = row.integer(0);
      return true;
    });
  }));
  EXPECT_EQ(rows, 1);
}

TEST_P(DatabaseTest, ADatabaseNewerThanTheProgramIsRefused) {
  ASSERT_TRUE(database_->migrate({notes().front(), {2, "CREATE TABLE more (x INTEGER)"}}));
  auto status = database_->migrate(notes());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::configuration);
}

TEST_P(DatabaseTest, AMigrationThatWasChangedAfterItRanIsRefused) {
  ASSERT_TRUE(database_->migrate({notes().front(), {2, "CREATE TABLE more (x INTEGER)"}}));
  auto status = database_->migrate({notes().front(), {2, "CREATE TABLE more (y INTEGER)"}});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::configuration);
}

TEST_P(DatabaseTest, RoomsThatShareADatabaseMigrateEachByItself) {
  const std::vector<Migration> other = {{1, "CREATE TABLE other (x INTEGER)"}, {2, "CREATE TABLE another (x INTEGER)"}};
  EXPECT_TRUE(database_->migrate(other));
  EXPECT_TRUE(database_->migrate(notes()));
  EXPECT_TRUE(database_->migrate(other));
}

TEST_P(DatabaseTest, AMigrationThatFailsLeavesNothing) {
  auto status = database_->migrate({notes().front(), {2, "CREATE TABLE more (x INTEGER); CREATE TABLE notes (x INTEGER)"}});
  EXPECT_FALSE(status);
  EXPECT_TRUE(database_->migrate({notes().front(), {2, "CREATE TABLE more (x INTEGER)"}}));
}

TEST_F(SqliteTest, AMigrationMayHoldTriggers) {
  const std::vector<Migration> guarded = {notes().front(),
                                          {2,
                                           "CREATE TRIGGER notes_stay BEFORE DELETE ON notes BEGIN SELECT RAISE(ABORT, 'append only; "
                                           "always'); END; CREATE TABLE last (x INTEGER)"}};
  ASSERT_TRUE(database_->migrate(guarded));
  ASSERT_TRUE(add(1));
  auto status = database_->write([](Transaction& transaction) -> Status {
    auto done = transaction.execute("DELETE FROM notes", {});
    if (!done) return done.error();
    return {};
  });
  EXPECT_FALSE(status);
  EXPECT_EQ(count(), 1);
}

TEST_P(DatabaseTest, AnyHistoryOfAcceptedAndRefusedWorkEndsAsTheModelSays) {
  rc::check([this](const std::vector<std::pair<std::uint8_t, bool>>& history) {
    RC_ASSERT(database_->write([](Transaction& transaction) -> Status {
      auto done = transaction.execute("DELETE FROM notes", {});
      if (!done) return done.error();
      return {};
    }));
    std::set<std::uint8_t> model;
    for (const auto& [id, accept] : history) {
      auto status = database_->write([&](Transaction& transaction) -> Status {
        auto done = transaction.execute(insert, {std::int64_t{id}, nullptr});
        if (!done) return done.error();
        if (!accept) return Error{ErrorCode::not_authorised, ""};
        return {};
      });
      const bool expected = accept && !model.contains(id);
      RC_ASSERT(static_cast<bool>(status) == expected);
      if (expected) model.insert(id);
    }
    RC_ASSERT(count() == static_cast<std::int64_t>(model.size()));
  });
}

}  // namespace
}  // namespace intaglio::storage
