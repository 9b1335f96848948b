#include "sealed/sealer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <atomic>
#include <thread>

#include "sealed/testing.h"

namespace intaglio::sealed {
namespace {

class SealerTest : public testing::Test {
 protected:
  SealerTest() : clock_(std::make_shared<ManualClock>(from_unix_seconds(1'790'000'000))) {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-sealed-XXXXXX";
    folder_ = mkdtemp(name.data());
    auto database = storage::open_sqlite(folder_ / "sam.db");
    EXPECT_TRUE(database);
    database_ = std::move(*database);
    EXPECT_TRUE(database_->migrate(Sealer::migrations()));
    reopen();
  }
  ~SealerTest() override {
    sealer_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] Result<std::shared_ptr<Sealer>> try_open() {
    return open_testing_sealer(*database_, wrapping_key_, clock_, folder_ / "anchor/versions");
  }
  void reopen() {
    sealer_.reset();
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().detail;
    sealer_ = *opened;
  }
  void as_administrator(std::string_view sql) {
    EXPECT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
      auto done = transaction.execute(sql, {});
      if (!done) return done.error();
      return {};
    }));
  }
  [[nodiscard]] std::int64_t number(std::string_view sql) {
    std::int64_t value = -1;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) {
      return reader.query(sql, {}, [&](const storage::Row& row) {
        value = row.integer(0);
        return true;
      });
    }));
    return value;
  }

  const Bytes id_ = to_bytes("alice");
  const Bytes plaintext_ = to_bytes("the record of a signer");
  Bytes wrapping_key_ = Bytes(32, 0x42);
  std::shared_ptr<ManualClock> clock_;
  std::filesystem::path folder_;
  std::unique_ptr<storage::Database> database_;
  std::shared_ptr<Sealer> sealer_;
};

TEST_F(SealerTest, WhatWasSealedOpensAgainAlsoAfterARestart) {
  auto sealed = sealer_->seal("signers", id_, 3, plaintext_);
  ASSERT_TRUE(sealed);
  EXPECT_EQ(as_text(*sealed).find(as_text(plaintext_)), std::string_view::npos);
  reopen();
  auto opened = sealer_->open_record("signers", id_, 3, *sealed);
  ASSERT_TRUE(opened);
  EXPECT_EQ(to_bytes(opened->reveal()), plaintext_);
}

TEST_F(SealerTest, ARecordOfAnotherTableIdOrVersionDoesNotOpen) {
  auto sealed = sealer_->seal("signers", id_, 3, plaintext_);
  ASSERT_TRUE(sealed);
  EXPECT_FALSE(sealer_->open_record("keys", id_, 3, *sealed));
  EXPECT_FALSE(sealer_->open_record("signers", to_bytes("bob"), 3, *sealed));
  EXPECT_FALSE(sealer_->open_record("signers", id_, 2, *sealed));
  EXPECT_FALSE(sealer_->open_record("signer", to_bytes("salice"), 3, *sealed));
  auto refused = sealer_->open_record("signers", id_, 4, *sealed);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
  EXPECT_TRUE(refused.error().detail.starts_with("sealed record refused: table signers"));
}

TEST_F(SealerTest, NoChangedByteOpens) {
  auto sealed = sealer_->seal("signers", id_, 1, plaintext_);
  ASSERT_TRUE(sealed);
  for (std::size_t at = 0; at < sealed->size(); ++at) {
    auto changed = *sealed;
    changed[at] ^= 1U;
    EXPECT_FALSE(sealer_->open_record("signers", id_, 1, changed)) << at;
  }
  for (std::size_t size = 0; size < sealed->size(); ++size) {
    EXPECT_FALSE(sealer_->open_record("signers", id_, 1, ByteView(*sealed).first(size))) << size;
  }
}

TEST_F(SealerTest, AnythingRoundTrips) {
  rc::check([this](const std::string& table, const std::vector<std::uint8_t>& id, std::uint64_t version,
                   const std::vector<std::uint8_t>& plaintext) {
    auto sealed = sealer_->seal(table, id, version, plaintext);
    RC_ASSERT(sealed);
    auto opened = sealer_->open_record(table, id, version, *sealed);
    RC_ASSERT(opened);
    RC_ASSERT(to_bytes(opened->reveal()) == plaintext);
  });
}

TEST_F(SealerTest, ADataKeyThatEndedWhileNothingServedIsReplacedAtTheStartAndStaysReadable) {
  const auto first = sealer_->current_key_id();
  auto sealed = sealer_->seal("signers", id_, 1, plaintext_);
  ASSERT_TRUE(sealed);
  sealer_.reset();
  clock_->advance(std::chrono::days(90));
  reopen();
  EXPECT_NE(sealer_->current_key_id(), first);
  EXPECT_TRUE(sealer_->open_record("signers", id_, 1, *sealed));
}

TEST_F(SealerTest, ADataKeyIsFollowedByTheNextOneWhileServing) {
  const auto first = sealer_->current_key_id();
  const auto index = sealer_->blind_index("signers", "name", plaintext_);
  auto before = sealer_->seal("signers", id_, 1, plaintext_);
  ASSERT_TRUE(before);
  clock_->advance(std::chrono::days(89) - std::chrono::seconds(1));
  ASSERT_TRUE(sealer_->rotate_if_due());
  EXPECT_EQ(sealer_->current_key_id(), first);
  clock_->advance(std::chrono::seconds(1));
  ASSERT_TRUE(sealer_->rotate_if_due());
  const auto second = sealer_->current_key_id();
  EXPECT_NE(second, first);
  auto after = sealer_->seal("signers", id_, 2, plaintext_);
  ASSERT_TRUE(after);
  EXPECT_NE(Bytes(before->begin(), before->begin() + 8), Bytes(after->begin(), after->begin() + 8));
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(sealer_->current_key_id(), second);
    EXPECT_TRUE(sealer_->open_record("signers", id_, 1, *before));
    EXPECT_TRUE(sealer_->open_record("signers", id_, 2, *after));
    EXPECT_EQ(sealer_->blind_index("signers", "name", plaintext_), index);
    EXPECT_EQ(number("SELECT count(*) FROM sealed_data_keys WHERE kind = 'record'"), 2);
    reopen();
  }
}

TEST_F(SealerTest, RecordsAreSealedAndOpenedByManyThreadsWhileDataKeysFollowEachOther) {
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> failures = 0, sealed_records = 0;
  {
    std::vector<std::jthread> threads;
    for (std::uint8_t name = 0; name < 3; ++name) {
      threads.emplace_back([&, id = Bytes(4, name)] {
        std::uint64_t version = 0;
        do {
          ++version;
          auto sealed = sealer_->seal("signers", id, version, plaintext_);
          if (!sealed || !sealer_->open_record("signers", id, version, *sealed)) ++failures;
          ++sealed_records;
        } while (!stop);
      });
    }
    for (int rotation = 0; rotation < 5; ++rotation) {
      clock_->advance(std::chrono::days(89));
      EXPECT_TRUE(sealer_->rotate_if_due());
    }
    stop = true;
  }
  EXPECT_EQ(failures, 0U);
  EXPECT_GE(sealed_records, 3U);
  EXPECT_EQ(number("SELECT count(*) FROM sealed_data_keys WHERE kind = 'record'"), 6);
}

TEST_F(SealerTest, ADataKeyEndsAfterItsNumberOfRecords) {
  const auto first = sealer_->current_key_id();
  sealer_.reset();
  as_administrator("UPDATE sealed_data_keys SET records = 2147483648 WHERE kind = 'record'");
  reopen();
  EXPECT_NE(sealer_->current_key_id(), first);
}

TEST_F(SealerTest, TheNextDataKeyIsMadeBeforeTheRecordsOfTheCurrentOneRunOut) {
  const auto first = sealer_->current_key_id();
  sealer_.reset();
  as_administrator("UPDATE sealed_data_keys SET records = 2147483648 - 16777216 WHERE kind = 'record'");
  reopen();
  ASSERT_TRUE(sealer_->rotate_if_due());
  EXPECT_NE(sealer_->current_key_id(), first);
}

/// Whatever refuses the next key, a full disk or a token that is away: the row cannot be written.
constexpr std::string_view no_next_key =
    "CREATE TRIGGER no_next_key BEFORE INSERT ON sealed_data_keys BEGIN SELECT RAISE(ABORT, 'refused'); END";

TEST_F(SealerTest, DoesNotOpenOnADataKeyThatIsTooOldWhenThereCannotBeANextOne) {
  sealer_.reset();
  as_administrator(no_next_key);
  clock_->advance(std::chrono::days(90));
  EXPECT_FALSE(try_open());
}

TEST_F(SealerTest, DoesNotOpenOnADataKeyThatIsUsedUpWhenThereCannotBeANextOne) {
  sealer_.reset();
  as_administrator("UPDATE sealed_data_keys SET records = 2147483648 WHERE kind = 'record'");
  as_administrator(no_next_key);
  EXPECT_FALSE(try_open());
}

TEST_F(SealerTest, ADataKeyThatIsUsedUpWithoutASuccessorSealsNothingMore) {
  sealer_.reset();
  as_administrator("UPDATE sealed_data_keys SET records = 2147483647 WHERE kind = 'record'");
  as_administrator(no_next_key);
  reopen();
  EXPECT_TRUE(sealer_->seal("signers", id_, 1, plaintext_));
  auto refused = sealer_->seal("signers", id_, 2, plaintext_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
}

TEST_F(SealerTest, ADataKeyThatIsTooOldWithoutASuccessorSealsNothingMoreUntilThereIsOne) {
  auto sealed = sealer_->seal("signers", id_, 1, plaintext_);
  ASSERT_TRUE(sealed);
  as_administrator(no_next_key);
  clock_->advance(std::chrono::days(90) - std::chrono::seconds(1));
  EXPECT_FALSE(sealer_->rotate_if_due());
  EXPECT_TRUE(sealer_->seal("signers", id_, 2, plaintext_));
  clock_->advance(std::chrono::seconds(1));
  EXPECT_FALSE(sealer_->rotate_if_due());
  auto refused = sealer_->seal("signers", id_, 3, plaintext_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
  EXPECT_TRUE(sealer_->open_record("signers", id_, 1, *sealed));
  as_administrator("DROP TRIGGER no_next_key");
  ASSERT_TRUE(sealer_->rotate_if_due());
  EXPECT_TRUE(sealer_->seal("signers", id_, 3, plaintext_));
}

TEST_F(SealerTest, ASuccessorWhoseCountCannotBeKeptIsMadeOnce) {
  const auto first = sealer_->current_key_id();
  as_administrator("CREATE TRIGGER no_count BEFORE UPDATE ON sealed_data_keys BEGIN SELECT RAISE(ABORT, 'refused'); END");
  clock_->advance(std::chrono::days(89));
  for (int again = 0; again < 3; ++again) EXPECT_FALSE(sealer_->rotate_if_due());
  EXPECT_EQ(number("SELECT count(*) FROM sealed_data_keys WHERE kind = 'record'"), 2);
  EXPECT_EQ(sealer_->current_key_id(), first);
  as_administrator("DROP TRIGGER no_count");
  ASSERT_TRUE(sealer_->rotate_if_due());
  EXPECT_NE(sealer_->current_key_id(), first);
}

TEST_F(SealerTest, ASuccessorOfACommitThatWasNotToldIsAdopted) {
  auto told = std::make_shared<std::atomic<bool>>(true);
  database_->on_commit([told] { return *told ? Status() : Status(Error{ErrorCode::audit_unavailable, "not told"}); });
  *told = false;
  clock_->advance(std::chrono::days(89));
  for (int again = 0; again < 3; ++again) EXPECT_FALSE(sealer_->rotate_if_due());
  EXPECT_EQ(number("SELECT count(*) FROM sealed_data_keys WHERE kind = 'record'"), 2);
  *told = true;
  ASSERT_TRUE(sealer_->rotate_if_due());
  EXPECT_EQ(number("SELECT count(*) FROM sealed_data_keys WHERE kind = 'record'"), 2);
}

TEST_F(SealerTest, RecordsAreCountedAheadWhileServingAndExactlyAfterAnOrderlyEnd) {
  for (std::uint64_t version = 0; version < 5; ++version) ASSERT_TRUE(sealer_->seal("signers", id_, version, plaintext_));
  EXPECT_GE(number("SELECT records FROM sealed_data_keys WHERE kind = 'record'"), 5);
  sealer_.reset();
  EXPECT_EQ(number("SELECT records FROM sealed_data_keys WHERE kind = 'record'"), 5);
}

TEST_F(SealerTest, ADataKeyRowThatWasChangedStopsTheStart) {
  sealer_.reset();
  for (const auto* sql : {"UPDATE sealed_data_keys SET created = created + 1 WHERE kind = 'record'",
                          "UPDATE sealed_data_keys SET kind = 'other' WHERE kind = 'index'"}) {
    const auto before = number("SELECT created FROM sealed_data_keys WHERE kind = 'record'");
    as_administrator(sql);
    EXPECT_FALSE(try_open()) << sql;
    as_administrator("UPDATE sealed_data_keys SET kind = 'index' WHERE kind = 'other'");
    as_administrator("UPDATE sealed_data_keys SET created = " + std::to_string(before));
  }
  reopen();
}

TEST_F(SealerTest, ARemovedDataKeyStopsTheStart) {
  sealer_.reset();
  as_administrator("DELETE FROM sealed_data_keys WHERE kind = 'index'");
  EXPECT_FALSE(try_open());
}

TEST_F(SealerTest, AnotherTokenOpensNothing) {
  sealer_.reset();
  wrapping_key_[0] ^= 1U;
  EXPECT_FALSE(try_open());
}

TEST_F(SealerTest, ABlindIndexIsStableAndSaysNothing) {
  const auto index = sealer_->blind_index("signers", "email", to_bytes("maria@example.org"));
  EXPECT_EQ(index.size(), 32U);
  clock_->advance(std::chrono::days(100));
  reopen();
  EXPECT_EQ(sealer_->blind_index("signers", "email", to_bytes("maria@example.org")), index);
  EXPECT_NE(sealer_->blind_index("signers", "name", to_bytes("maria@example.org")), index);
  EXPECT_NE(sealer_->blind_index("keys", "email", to_bytes("maria@example.org")), index);
  EXPECT_NE(sealer_->blind_index("signers", "email", to_bytes("maria@example.com")), index);
}

TEST_F(SealerTest, DerivedKeysDependOnPurposeAndDataKey) {
  const auto first = sealer_->current_key_id();
  auto ticket = sealer_->derive("ticket/sign", first);
  auto other = sealer_->derive("ticket/enrol", first);
  ASSERT_TRUE(ticket && other);
  EXPECT_EQ(ticket->size(), 32U);
  EXPECT_FALSE(same_secret(ticket->reveal(), other->reveal()));
  EXPECT_EQ(sealer_->derive("ticket/sign", first + 2).error().code, ErrorCode::not_found);
  clock_->advance(std::chrono::days(90));
  reopen();
  auto next = sealer_->derive("ticket/sign", sealer_->current_key_id());
  ASSERT_TRUE(next);
  EXPECT_FALSE(same_secret(ticket->reveal(), next->reveal()));
  auto again = sealer_->derive("ticket/sign", first);
  ASSERT_TRUE(again);
  EXPECT_TRUE(same_secret(ticket->reveal(), again->reveal()));
}

TEST_F(SealerTest, ARecordUnderAKeyThatAnotherNodeMadeOpens) {
  // Its clock is at the end of the key; ours sees no reason to look for another.
  const auto later = std::make_shared<ManualClock>(clock_->now() + std::chrono::days(89) + std::chrono::hours(1));
  auto other = open_testing_sealer(*database_, wrapping_key_, later, folder_ / "anchor/versions");
  ASSERT_TRUE(other);
  ASSERT_TRUE((*other)->rotate_if_due());
  ASSERT_NE((*other)->current_key_id(), sealer_->current_key_id());
  auto sealed = (*other)->seal("signers", id_, 1, plaintext_);
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(sealer_->open_record("signers", id_, 1, *sealed));
  auto ticket = sealer_->derive("ticket/sign", (*other)->current_key_id());
  EXPECT_TRUE(ticket);
}

TEST_F(SealerTest, TwoNodesThatCountWithOneKeyCountTogether) {
  const std::int64_t chunk = 2097152;
  auto stored = [&] { return number("SELECT records FROM sealed_data_keys WHERE kind = 'record'"); };
  EXPECT_EQ(stored(), chunk);
  {
    auto other = try_open();
    ASSERT_TRUE(other);
    EXPECT_EQ(stored(), 2 * chunk) << "the second takes numbers of its own";
    ASSERT_TRUE((*other)->seal("signers", id_, 1, plaintext_));
    // The first one ends: what the second has taken is not given back with it.
    sealer_.reset();
    EXPECT_EQ(stored(), 2 * chunk);
  }
  EXPECT_EQ(stored(), chunk + 1) << "the last one gives back what it did not use";
}

}  // namespace
}  // namespace intaglio::sealed
