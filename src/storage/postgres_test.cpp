#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "storage/leases.h"
#include "storage/node.h"
#include "storage/postgres/dialect.h"
#include "storage/test_support.h"

namespace intaglio::storage {
namespace {

constexpr std::string_view insert = "INSERT INTO notes (id, body) VALUES (?1, ?2)";

/// Between a client and the server's socket. Once told to, it lets a COMMIT through and the answer to it get lost.
class Proxy {
 public:
  explicit Proxy(std::string server) : server_(std::move(server) + "/.s.PGSQL.5432") {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-proxy-XXXXXX";
    folder_ = mkdtemp(name.data());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const auto address = address_of(folder_ + "/.s.PGSQL.5432");
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }
  ~Proxy() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    links_.clear();
    ::close(listener_);
    std::filesystem::remove_all(folder_);
  }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_; }
  void lose_next_answer_to_commit() { armed_ = true; }
  [[nodiscard]] bool lost() const { return lost_; }

 private:
  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
      const auto address = address_of(server_);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(client);
        ::close(server);
        continue;
      }
      links_.emplace_back([this, client, server](const std::stop_token& end) { carry(end, client, server); });
    }
  }
  void carry(const std::stop_token& stop, int client, int server) {
    bool committing = false;
    std::array<pollfd, 2> ends{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    std::array<char, 65536> buffer{};
    while (!stop.stop_requested()) {
      if (::poll(ends.data(), ends.size(), 50) <= 0) continue;
      bool open = true;
      for (std::size_t from = 0; from < 2 && open; ++from) {
        if (ends.at(from).revents == 0) continue;
        const auto got = ::read(ends.at(from).fd, buffer.data(), buffer.size());
        if (got <= 0) {
          open = false;
          continue;
        }
        const std::string_view data(buffer.data(), static_cast<std::size_t>(got));
        if (from == 0 && data.find("COMMIT") != std::string_view::npos && armed_.exchange(false)) committing = true;
        if (from == 1 && committing) {
          lost_ = true;
          open = false;
          continue;
        }
        open = ::send(ends.at(1 - from).fd, data.data(), data.size(), MSG_NOSIGNAL) == got;
      }
      if (!open) break;
    }
    ::close(client);
    ::close(server);
  }

  std::string server_, folder_;
  int listener_ = -1;
  std::atomic<bool> armed_ = false, lost_ = false;
  std::vector<std::jthread> links_;
  std::jthread thread_;
};

class PostgresqlTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    database_.reset();
    auto opened = open_postgresql(address_);
    ASSERT_TRUE(opened) << opened.error().detail;
    database_ = std::move(*opened);
    ASSERT_TRUE(database_->migrate({{1, "CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)"}}));
  }
  static Status add(Transaction& transaction, std::int64_t id) {
    auto done = transaction.execute(insert, {id, nullptr});
    return done ? Status() : Status(done.error());
  }
  Status add(std::int64_t id) {
    return database_->write([&](Transaction& transaction) { return add(transaction, id); });
  }
  std::int64_t count() {
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
  /// Ends every session of this database but the administrator's own.
  void end_sessions() {
    EXPECT_TRUE(
        server_.administer("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + address_.name + "'"));
  }
  ErrorCode refusal(const PostgresqlAddress& address) {
    auto opened = open_postgresql(address);
    return opened ? ErrorCode::internal : opened.error().code;
  }

  test::PostgresqlServer& server_ = test::PostgresqlServer::instance();
  PostgresqlAddress address_ = server_.fresh_database();
  std::unique_ptr<Database> database_;
};

TEST_F(PostgresqlTest, AServerThatCrashedIsServedByAgainWithoutALostCommit) {
  ASSERT_TRUE(add(1));
  EXPECT_EQ(count(), 1);
  server_.crash_and_start();
  EXPECT_EQ(count(), 1) << "the readers' connections were lost while nobody used them";
  EXPECT_TRUE(add(2)) << "and the writer's";
  EXPECT_EQ(count(), 2);
}

TEST_F(PostgresqlTest, AConnectionThatIsLostWithinATransactionRefusesItAndTheNextOneServes) {
  const auto status = database_->write([&](Transaction& transaction) -> Status {
    EXPECT_TRUE(add(transaction, 1));
    end_sessions();
    EXPECT_FALSE(add(transaction, 2));
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(count(), 0);
  EXPECT_TRUE(add(3));
  EXPECT_EQ(count(), 1);
}

TEST_F(PostgresqlTest, ACommitThatNeverArrivedIsRefused) {
  const auto status = database_->write([&](Transaction& transaction) -> Status {
    EXPECT_TRUE(add(transaction, 1));
    end_sessions();
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(count(), 0);
}

TEST_F(PostgresqlTest, ACommitWhoseAnswerIsLostStandsAndIsSaidToStand) {
  database_.reset();
  Proxy proxy(server_.folder());
  address_.hosts = proxy.folder();
  open();
  int hooks = 0;
  database_->on_commit([&]() -> Status {
    ++hooks;
    return {};
  });
  proxy.lose_next_answer_to_commit();
  const auto status = add(1);
  EXPECT_TRUE(status) << status.error().detail;
  EXPECT_TRUE(proxy.lost());
  EXPECT_EQ(hooks, 1);
  EXPECT_EQ(count(), 1);
  EXPECT_TRUE(add(2));
  database_.reset();
}

TEST_F(PostgresqlTest, ACommitThatTheServerWarnsOfIsNotTakenForDone) {
  // As the server does when somebody cancels the wait for the standby.
  ASSERT_TRUE(server_.administer(address_.name,
                                 "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
                                 "'BEGIN RAISE WARNING ''not on the standby''; RETURN NULL; END'; "
                                 "CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
                                 "FOR EACH ROW EXECUTE FUNCTION warn()"));
  const auto status = add(1);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
}

TEST_F(PostgresqlTest, ASessionThatTheServerEndedOwnsNothingAnyMore) {
  ASSERT_TRUE(add(1));
  end_sessions();
  auto successor = open_postgresql(address_);
  ASSERT_TRUE(successor) << successor.error().detail;
  const auto status = add(2);
  ASSERT_FALSE(status) << "another one owns the database now";
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(count(), 1);
  successor->reset();
  EXPECT_TRUE(add(2));
}

/// Two owners of one database, each with a name.
class NodesTest : public PostgresqlTest {
 protected:
  void SetUp() override {
    for (const std::string name : {"a", "b"}) nodes_.push_back(node(name));
    ASSERT_TRUE(nodes_.front()->migrate({{1, "CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)"}}));
  }
  std::unique_ptr<Database> node(const std::string& name, std::chrono::milliseconds patience = turn_patience) {
    auto opened = open_postgresql_node(address_, name, patience);
    EXPECT_TRUE(opened) << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
  }
  ErrorCode refusal_of_node(const std::string& name) {
    auto opened = open_postgresql_node(address_, name);
    return opened ? ErrorCode::internal : opened.error().code;
  }
  static Result<std::int64_t> highest(Transaction& transaction) {
    auto found = transaction.query_one<std::int64_t>("SELECT max(id) FROM notes WHERE ?1 > 0", {std::int64_t{1}},
                                                     [](const Row& row) { return row.is_null(0) ? 0 : row.integer(0); });
    if (!found) return found.error();
    return found->value_or(0);
  }
  std::vector<std::unique_ptr<Database>> nodes_;
};

TEST_F(NodesTest, EachNameIsOneProcessAndTheOnlyOwnerHasNoNodesBesideIt) {
  EXPECT_EQ(name_of(refusal_of_node("a")), name_of(ErrorCode::conflict));
  EXPECT_EQ(name_of(refusal(address_)), name_of(ErrorCode::conflict)) << "an only owner beside nodes";
  nodes_.clear();
  open();
  EXPECT_EQ(name_of(refusal_of_node("a")), name_of(ErrorCode::conflict)) << "a node beside an only owner";
}

TEST_F(NodesTest, WhatOneReadsInItsTurnNoOtherChangesBeforeItsCommit) {
  // Each reads the highest number and adds the next one: two that read the same would both add it.
  constexpr int rounds = 100;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (const auto& node : nodes_) {
      threads.emplace_back([&refused, &node] {
        for (int round = 0; round < rounds; ++round) {
          auto added = node->write([](Transaction& transaction) -> Status {
            auto last = highest(transaction);
            if (!last) return last.error();
            return add(transaction, *last + 1);
          });
          if (!added) ++refused;
        }
      });
    }
  }
  EXPECT_EQ(refused, 0);
  std::int64_t count = 0;
  EXPECT_TRUE(nodes_.front()->write([&](Transaction& transaction) -> Status {
    auto last = highest(transaction);
    if (last) count = *last;
    return last ? Status() : Status(last.error());
  }));
  EXPECT_EQ(count, 2 * rounds);
}

TEST_F(NodesTest, WhoseTurnDoesNotComeIsBusyAndKeepsItsSessionAndItsName) {
  nodes_.back().reset();
  nodes_.back() = node("b", std::chrono::milliseconds(50));
  const auto session = [this] {
    std::int64_t found = 0;
    EXPECT_TRUE(nodes_.back()->write([&](Transaction& transaction) {
      return transaction.query("SELECT pg_backend_pid() WHERE ?1 > 0", {std::int64_t{1}}, [&](const Row& row) {
        found = row.integer(0);
        return true;
      });
    }));
    return found;
  };
  const auto before = session();
  EXPECT_TRUE(nodes_.front()->write([&](Transaction&) -> Status {
    bool ran = false;
    const auto refused = nodes_.back()->write([&](Transaction&) -> Status {
      ran = true;
      return {};
    });
    EXPECT_FALSE(refused);
    EXPECT_EQ(name_of(refused ? ErrorCode::internal : refused.error().code), name_of(ErrorCode::busy));
    EXPECT_FALSE(ran);
    EXPECT_EQ(name_of(refusal_of_node("b")), name_of(ErrorCode::conflict)) << "another process could take its name";
    return {};
  }));
  EXPECT_EQ(session(), before);
}

TEST_F(NodesTest, ANodeWhoseSessionEndedWithinItsTurnGivesTheTurnBack) {
  const auto status = nodes_.front()->write([&](Transaction& transaction) -> Status {
    EXPECT_TRUE(add(transaction, 1));
    end_sessions();
    return {};
  });
  ASSERT_FALSE(status);
  // Its own session was ended too: the first statement of the next work makes another.
  EXPECT_TRUE(nodes_.back()->write([](Transaction& transaction) { return add(transaction, 1); }));
  EXPECT_TRUE(nodes_.front()->write([](Transaction& transaction) { return add(transaction, 2); }));
}

TEST_F(NodesTest, ACommitWhoseAnswerIsLostIsAskedAfterByItsOwnNode) {
  nodes_.front().reset();
  Proxy proxy(server_.folder());
  const auto hosts = std::exchange(address_.hosts, proxy.folder());
  nodes_.front() = node("a");
  address_.hosts = hosts;
  proxy.lose_next_answer_to_commit();
  const auto status = nodes_.front()->write([](Transaction& transaction) { return add(transaction, 1); });
  EXPECT_TRUE(proxy.lost());
  EXPECT_TRUE(status) << status.error().detail;
  EXPECT_TRUE(nodes_.back()->write([](Transaction& transaction) { return add(transaction, 2); }));
  nodes_.front().reset();
}

TEST_F(NodesTest, MigrateAtTheSameTimeAndEachMigrationIsAppliedOnce) {
  std::vector<Migration> series;
  std::vector<std::string> statements;
  for (int version = 1; version <= 20; ++version)
    statements.push_back("CREATE TABLE t" + std::to_string(version) + " (id INTEGER PRIMARY KEY)");
  for (int version = 1; version <= 20; ++version) series.push_back({version, statements[static_cast<std::size_t>(version) - 1]});
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (const auto& node : nodes_) {
      threads.emplace_back([&] {
        if (const auto done = node->migrate(series); !done) ++refused;
      });
    }
  }
  EXPECT_EQ(refused, 0);
}

TEST_F(NodesTest, HaveALeaseOneAtATimeThatEndsByItselfOrIsGivenBack) {
  const auto clock = std::make_shared<ManualClock>(from_unix_seconds(1795171200));
  ASSERT_TRUE(nodes_.front()->migrate(Leases::migrations()));
  const auto leases = [&](std::size_t which, const std::string& name) {
    return Leases(std::shared_ptr<Database>(nodes_[which].get(), [](Database*) {}), clock, name);
  };
  auto a = leases(0, "a"), b = leases(1, "b");
  const auto has = [](const Result<bool>& taken) { return taken && *taken; };
  constexpr std::chrono::minutes length{15};
  EXPECT_TRUE(has(a.take("upkeep", length)));
  EXPECT_FALSE(has(b.take("upkeep", length)));
  EXPECT_TRUE(has(b.take("another", length)));
  // Taken anew it lasts from then on, and nobody else can give it back.
  clock->advance(std::chrono::minutes(10));
  EXPECT_TRUE(has(a.take("upkeep", length)));
  EXPECT_TRUE(b.give_back("upkeep"));
  clock->advance(std::chrono::minutes(14));
  EXPECT_FALSE(has(b.take("upkeep", length)));
  clock->advance(std::chrono::minutes(1));
  EXPECT_TRUE(has(b.take("upkeep", length)));
  EXPECT_FALSE(has(a.take("upkeep", length)));
  EXPECT_TRUE(b.give_back("upkeep"));
  EXPECT_TRUE(has(a.take("upkeep", length)));
}

TEST_F(NodesTest, WhoReadsOnlyIsBesideThemAndWritesNothing) {
  ASSERT_TRUE(nodes_.front()->write([](Transaction& transaction) { return add(transaction, 1); }));
  const auto reader = open_postgresql_read_only(address_, "a");
  std::int64_t found = 0;
  EXPECT_TRUE(reader->read([&](Reader& rows) {
    return rows.query("SELECT id FROM notes", {}, [&](const Row& row) {
      found = row.integer(0);
      return true;
    });
  }));
  EXPECT_EQ(found, 1);
  EXPECT_EQ(name_of(reader->write([](Transaction&) { return Status(); }).error().code), name_of(ErrorCode::unsupported));
}

TEST_F(PostgresqlTest, AStatementThatFailedRefusesAWorkThatOverlooksItAndNoOther) {
  const auto status = database_->write([&](Transaction& transaction) -> Status {
    EXPECT_TRUE(add(transaction, 1));
    EXPECT_FALSE(transaction.execute("INSERT INTO no_such_table (id) VALUES (?1)", {std::int64_t{1}}));
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::storage_unavailable);
  EXPECT_TRUE(add(2));
  EXPECT_EQ(count(), 1);
}

TEST_F(PostgresqlTest, AServerThatMayLoseWhatItAcknowledgesIsRefused) {
  database_.reset();
  for (const std::string setting : {"fsync=off", "full_page_writes=off"}) {
    server_.crash_and_start(setting);
    EXPECT_EQ(name_of(refusal(address_)), name_of(ErrorCode::configuration)) << setting;
  }
  server_.crash_and_start();
  address_.synchronous_standby = true;
  EXPECT_EQ(name_of(refusal(address_)), name_of(ErrorCode::configuration)) << "no standby";
  address_.synchronous_standby = false;
  open();
}

TEST_F(PostgresqlTest, AServerElsewhereIsNotSpokenToInClear) {
  address_.hosts = "127.0.0.1";
  EXPECT_EQ(name_of(refusal(address_)), name_of(ErrorCode::configuration));
}

TEST_F(PostgresqlTest, AServerThatIsAwayIsUnavailable) {
  address_.hosts = "/nowhere";
  EXPECT_EQ(name_of(refusal(address_)), name_of(ErrorCode::storage_unavailable));
}

TEST(PostgresqlDialect, ChangesParametersAndTypesAndNothingThatIsQuoted) {
  using postgres::translate;
  EXPECT_EQ(translate("SELECT a FROM b WHERE c = ?1 AND d = ?12 AND e = '?1 it''s ?2'"),
            "SELECT a FROM b WHERE c = $1 AND d = $12 AND e = '?1 it''s ?2'");
  EXPECT_EQ(translate("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB DEFAULT 'BLOB', INTEGERS TEXT) WITHOUT ROWID;"),
            "CREATE TABLE t (id BIGINT PRIMARY KEY, b BYTEA DEFAULT 'BLOB', INTEGERS TEXT)");
  EXPECT_EQ(translate("INSERT INTO INTEGER (BLOB) VALUES (?1)"), "INSERT INTO INTEGER (BLOB) VALUES ($1)");
  EXPECT_EQ(translate(""), "");
  EXPECT_EQ(translate("?"), "?");
}

TEST(PostgresqlDialect, GuardsPlainInsertsOnly) {
  using postgres::is_plain_insert;
  EXPECT_TRUE(is_plain_insert("INSERT INTO t (a) VALUES (?1)"));
  EXPECT_FALSE(is_plain_insert("INSERT INTO t (a) SELECT b FROM c"));
  EXPECT_FALSE(is_plain_insert("INSERT INTO t (a) VALUES (?1) ON CONFLICT (a) DO UPDATE SET a = ?1"));
  EXPECT_FALSE(is_plain_insert("INSERT INTO t (a) VALUES (?1) RETURNING a"));
  EXPECT_FALSE(is_plain_insert("UPDATE t SET a = ?1"));
}

}  // namespace
}  // namespace intaglio::storage
