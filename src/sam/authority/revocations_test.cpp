#include "sam/authority/revocations.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/test_support.h"
#include "sam/core.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

namespace intaglio::sam {
namespace {

using crypto::RevocationList;
using crypto::RevocationReason;
using crypto::RevokedCertificate;

/// A database with the SAM's tables, a sealer over it, and what lists it took.
class RevocationsTest : public ::testing::Test {
 protected:
  RevocationsTest() {
    database_ = test::must(storage::test::open_database(folder_.path() / "sam.db"));
    EXPECT_TRUE(database_->migrate(sealed::Sealer::migrations()));
    EXPECT_TRUE(write([](storage::Transaction& transaction) {
      auto done = transaction.execute("CREATE TABLE sam_state (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL)", {});
      return done ? Status() : Status(done.error());
    }));
    sealer_ = test::must(sealed::open_testing_sealer(*database_, Bytes(32, 0x42), clock_, folder_.path() / "anchor/versions"));
  }
  Status write(const std::function<Status(storage::Transaction&)>& work) { return database_->write(work); }
  std::vector<RevokedCertificate> take(Revocations& revocations, const RevocationList& list) {
    std::vector<RevokedCertificate> news;
    EXPECT_TRUE(write([&](storage::Transaction& transaction) -> Status {
      auto taken = revocations.take(transaction, sealer_, list);
      if (!taken) return taken.error();
      news = *std::move(taken);
      return {};
    }));
    return news;
  }
  Status refresh(Revocations& revocations) {
    return write([&](storage::Transaction& transaction) { return revocations.refresh(transaction, sealer_, issuer_); });
  }
  [[nodiscard]] RevocationList list_of(std::uint64_t number, std::vector<RevokedCertificate> revoked) const {
    return {issuer_, clock_->now(), clock_->now() + std::chrono::hours(1), number, std::move(revoked)};
  }
  [[nodiscard]] RevokedCertificate entry(const std::string& serial, RevocationReason reason = RevocationReason::unspecified) const {
    return {serial, clock_->now(), reason};
  }

  const Bytes issuer_ = to_bytes("an issuer's name");
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1'790'000'000));
  test::TemporaryFolder folder_;
  std::unique_ptr<storage::Database> database_;
  std::shared_ptr<sealed::Sealer> sealer_;
};

TEST_F(RevocationsTest, WhatIsNewOfEachListEndsAndHoldsTheSameKeysAsEveryEntryWould) {
  enum class Fate { free, held, ended };
  using Fates = std::map<std::string, Fate>;
  // revoked_keys.h: what was ended stays so, and a hold becomes an end.
  const auto deal_with = [](Fates& fates, const std::vector<RevokedCertificate>& entries) {
    for (const auto& each : entries) {
      auto& fate = fates[each.serial_hex];
      if (fate != Fate::ended) fate = each.reason == RevocationReason::certificate_hold ? Fate::held : Fate::ended;
    }
  };
  // An operator resumes what the list in force does not name.
  const auto resume = [](Fates& fates, const std::set<std::string>& named) {
    for (auto& [serial, fate] : fates) {
      if (fate == Fate::held && !named.contains(serial)) fate = Fate::free;
    }
  };
  std::uint64_t number = 0;
  Revocations revocations;
  Fates by_news, by_all;
  rc::check("news are enough", [&] {
    std::set<std::string> named;
    std::vector<RevokedCertificate> revoked;
    for (std::size_t serial = 0; serial < 12; ++serial) {
      const auto how = *rc::gen::inRange(0, 4);
      if (how > 1) continue;
      // RFC 5280 does not sort the entries of a list.
      const auto text = encode_hex(Bytes{static_cast<std::uint8_t>(11 - serial), 0x01});
      revoked.push_back(entry(text, how == 0 ? RevocationReason::certificate_hold : RevocationReason::key_compromise));
      named.insert(text);
    }
    const auto list = list_of(++number, revoked);
    deal_with(by_news, take(revocations, list));
    deal_with(by_all, list.revoked);
    if (*rc::gen::arbitrary<bool>()) {
      resume(by_news, named);
      resume(by_all, named);
    }
    for (const auto& [serial, fate] : by_all) RC_ASSERT(by_news[serial] == fate);
    for (std::size_t serial = 0; serial < 12; ++serial) {
      const auto text = encode_hex(Bytes{static_cast<std::uint8_t>(serial), 0x01});
      RC_ASSERT(revocations.contains(issuer_, text) == named.contains(text));
    }
  });
}

TEST_F(RevocationsTest, AnEntryIsNewOnceAndAgainWhenAHoldBecomesARevocation) {
  Revocations revocations;
  const auto serials = [](const std::vector<RevokedCertificate>& news) {
    std::vector<std::string> names;
    names.reserve(news.size());
    for (const auto& each : news) names.push_back(each.serial_hex);
    return names;
  };
  const auto hold = RevocationReason::certificate_hold;
  using Names = std::vector<std::string>;
  EXPECT_EQ(serials(take(revocations, list_of(1, {entry("0b"), entry("0a", hold)}))), (Names{"0b", "0a"}));
  EXPECT_EQ(serials(take(revocations, list_of(1, {entry("0b"), entry("0a", hold)}))), Names{});
  EXPECT_EQ(serials(take(revocations, list_of(2, {entry("0b"), entry("0a", hold), entry("0c")}))), Names{"0c"});
  EXPECT_EQ(serials(take(revocations, list_of(3, {entry("0b"), entry("0a"), entry("0c")}))), Names{"0a"});
  EXPECT_EQ(serials(take(revocations, list_of(4, {entry("0b"), entry("0a"), entry("0c")}))), Names{});
}

TEST_F(RevocationsTest, ARecordThatDoesNotTellHoldsFromRevocationsMakesEveryEntryNew) {
  // As it was kept before holds were told apart: number, nextUpdate, serial numbers.
  Bytes old;
  append_field(old, std::uint64_t{1});
  append_field(old, static_cast<std::uint64_t>(unix_seconds(clock_->now())));
  append_field(old, std::uint64_t{2});
  append_field(old, ByteView(Bytes{0x0a}));
  append_field(old, ByteView(Bytes{0x0b}));
  ASSERT_TRUE(write([&](storage::Transaction& transaction) {
    const sealed::Table state(sealer_, "sam_state", sealed::Rollback::refused);
    return state.insert(transaction, "crl-" + encode_base64url(crypto::sha256(issuer_)), old);
  }));
  Revocations revocations;
  EXPECT_EQ(take(revocations, list_of(2, {entry("0a"), entry("0b", RevocationReason::certificate_hold)})).size(), 2U);
  EXPECT_TRUE(take(revocations, list_of(3, {entry("0a"), entry("0b", RevocationReason::certificate_hold)})).empty());
}

TEST_F(RevocationsTest, AListOfATransactionThatFailedIsNotTakenForTheOneOfItsVersion) {
  Revocations here, there;
  ASSERT_FALSE(write([&](storage::Transaction& transaction) -> Status {
    EXPECT_TRUE(here.take(transaction, sealer_, list_of(5, {entry("0a")})));
    return Error{ErrorCode::storage_unavailable, "the disk is full"};
  }));
  take(there, list_of(6, {entry("0b")}));
  ASSERT_TRUE(refresh(here));
  EXPECT_TRUE(here.contains(issuer_, "0b"));
  EXPECT_FALSE(here.contains(issuer_, "0a"));
}

TEST_F(RevocationsTest, AnOlderRecordDoesNotTakeThePlaceOfALaterListInMemory) {
  Revocations here;
  take(here, list_of(1, {entry("0a")}));
  ASSERT_FALSE(write([&](storage::Transaction& transaction) -> Status {
    EXPECT_TRUE(here.take(transaction, sealer_, list_of(3, {entry("0a"), entry("0b")})));
    return Error{ErrorCode::storage_unavailable, "the disk is full"};
  }));
  ASSERT_TRUE(refresh(here));
  EXPECT_TRUE(here.contains(issuer_, "0b")) << "it was verified, whether or not it could be kept";
}

TEST_F(RevocationsTest, AListThatIsInMemoryAsSealedIsNotOpenedAgainAndOneThatIsNotIs) {
  Revocations here, there;
  take(there, list_of(1, {entry("0a")}));
  ASSERT_TRUE(refresh(here));
  const auto spoil = [&] {
    return write([](storage::Transaction& transaction) {
      auto done = transaction.execute("UPDATE sam_state SET record = ?1", {ByteView(Bytes{1})});
      return done ? Status() : Status(done.error());
    });
  };
  ASSERT_TRUE(spoil());
  EXPECT_TRUE(refresh(here)) << "what was authenticated once is in memory";
  EXPECT_TRUE(here.contains(issuer_, "0a"));
  Revocations later;
  const auto unread = refresh(later);
  ASSERT_FALSE(unread);
  EXPECT_EQ(unread.error().code, ErrorCode::storage_unavailable);
}

TEST_F(RevocationsTest, ARecordThatWasRemovedOrPutBackIsNotPassedOver) {
  Revocations here;
  take(here, list_of(1, {entry("0a")}));
  take(here, list_of(2, {entry("0a"), entry("0b")}));
  ASSERT_TRUE(refresh(here));
  for (const auto* sql : {"UPDATE sam_state SET version = 1", "DELETE FROM sam_state"}) {
    ASSERT_TRUE(write([&](storage::Transaction& transaction) {
      auto done = transaction.execute(sql, {});
      return done ? Status() : Status(done.error());
    }));
    const auto refused = refresh(here);
    ASSERT_FALSE(refused) << sql;
    EXPECT_EQ(refused.error().code, ErrorCode::storage_unavailable);
  }
}

}  // namespace
}  // namespace intaglio::sam
