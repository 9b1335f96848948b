#include "http/limiter.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace intaglio;
using namespace std::chrono_literals;

class Limits : public testing::Test {
 protected:
  [[nodiscard]] http::Limiter limiter(std::uint32_t per_minute) const { return {per_minute, clock, to_bytes("a fixed key")}; }
  /// How many of `tries` are let through.
  static unsigned admitted(http::Limiter& limiter, std::string_view key, unsigned tries) {
    unsigned count = 0;
    for (unsigned i = 0; i < tries; ++i) count += limiter.wait_for(key) ? 0U : 1U;
    return count;
  }
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(UnixTime{1'800'000'000s});
};

TEST_F(Limits, LetThroughAMinutesWorthAtOnceAndNotOneMore) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
}

TEST_F(Limits, RefillOneByOneAndNeverBeyondAFullBucket) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
  clock->advance(5s);
  EXPECT_EQ(admitted(ten, "a", 1), 0U) << "six seconds make one";
  clock->advance(1s);
  EXPECT_EQ(admitted(ten, "a", 5), 1U);
  clock->advance(18s);
  EXPECT_EQ(admitted(ten, "a", 5), 3U);
  clock->advance(24h);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
}

TEST_F(Limits, SayAfterHowLongThereIsOneAgain) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 10), 10U);
  EXPECT_EQ(ten.wait_for("a"), 6s);
  clock->advance(4s);
  EXPECT_EQ(ten.wait_for("a"), 2s);
  clock->advance(2s);
  EXPECT_EQ(ten.wait_for("a"), std::nullopt);

  auto many = limiter(6000);
  EXPECT_EQ(admitted(many, "a", 6000), 6000U);
  EXPECT_EQ(many.wait_for("a"), 1s) << "rounded up: nobody is told to come at once";
}

TEST_F(Limits, ARefusalCostsNothing) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 1000), 10U);
  EXPECT_EQ(ten.wait_for("a"), 6s);
}

TEST_F(Limits, EachKeyHasABucketOfItsOwn) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
  EXPECT_EQ(admitted(ten, "b", 25), 10U);
  EXPECT_EQ(admitted(ten, "", 25), 10U);
}

TEST_F(Limits, AFloodOfOtherKeysGivesNobodyHisTokensBack) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
  for (unsigned i = 0; i < 100'000; ++i) (void)ten.wait_for("flood " + std::to_string(i));
  EXPECT_EQ(admitted(ten, "a", 25), 0U);
}

TEST_F(Limits, AThousandWhoHaveSpentTheirsLeaveOthersTheirs) {
  auto ten = limiter(10);
  for (unsigned i = 0; i < 1000; ++i) EXPECT_EQ(admitted(ten, "spent " + std::to_string(i), 12), 10U) << i;
  for (unsigned i = 0; i < 1000; ++i) EXPECT_EQ(admitted(ten, "other " + std::to_string(i), 1), 1U) << i;
}

TEST_F(Limits, AClockThatIsSetBackLocksNobodyOutForLongerThanAMinute) {
  auto ten = limiter(10);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
  clock->advance(-1h);
  EXPECT_EQ(ten.wait_for("a"), 6s);
  clock->advance(60s);
  EXPECT_EQ(admitted(ten, "a", 25), 10U);
}

TEST_F(Limits, ZeroIsNoLimit) {
  auto none = limiter(0);
  EXPECT_EQ(admitted(none, "a", 10'000), 10'000U);
}

TEST_F(Limits, RatesThatDoNotDivideAMinuteAreCountedExactly) {
  for (const std::uint32_t rate : {1U, 7U, 59U, 61U, 999'983U, http::Limiter::max_per_minute}) {
    auto limited = limiter(rate);
    EXPECT_EQ(admitted(limited, "a", rate + 100), rate);
  }
}

}  // namespace
