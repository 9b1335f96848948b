#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "oauth/client_authentication.h"
#include "oauth/grants.h"
#include "oauth/migrations.h"
#include "oauth/pending.h"
#include "oauth/test_support.h"
#include "oauth/token_keys.h"
#include "storage/node.h"

namespace intaglio::oauth {
namespace {

using test::must;
using test::test_start;

/// Two nodes of the SSA on one PostgreSQL database. What a signer's browser or an application begins on one may end on the other.
class OAuthNodes : public testing::Test {
 protected:
  OAuthNodes() {
    const auto address = storage::test::PostgresqlServer::instance().fresh_database();
    for (const auto* name : {"ssa-1", "ssa-2"}) databases_.emplace_back(must(storage::open_postgresql_node(address, name)));
    must(databases_.front()->migrate(migrations()));
    for (const auto& database : databases_) {
      grants_.push_back(std::make_unique<Grants>(database, clock_));
      pending_.push_back(std::make_unique<PendingRequests>(database, clock_));
    }
  }
  std::string granted(std::size_t node) {
    std::string code;
    must(databases_[node]->write([&](storage::Transaction& transaction) -> Status {
      auto added =
          grants_[node]->add(transaction, {"app", "alice", "a request", Secret(as_bytes("a SAD")), test_start + std::chrono::minutes(5)});
      if (added) code = *added;
      return added ? Status() : Status(added.error());
    }));
    return code;
  }
  [[nodiscard]] auto redeem(std::size_t node, const std::string& code) const {
    return grants_[node]->redeem(code, app_, [](const std::string&) { return std::nullopt; });
  }
  /// How many of many calls, half of them on each node and all at once, are let through.
  template <typename Call>
  static int let_through(Call call) {
    constexpr int callers = 16;
    std::atomic<int> through = 0;
    std::latch begin(callers);
    {
      std::vector<std::jthread> threads;
      threads.reserve(callers);
      for (int caller = 0; caller < callers; ++caller) {
        threads.emplace_back([&, caller] {
          begin.arrive_and_wait();
          if (call(static_cast<std::size_t>(caller % 2))) ++through;
        });
      }
    }
    return through;
  }

  const Client app_ = test::TestClient("app").registered();
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test_start);
  std::vector<std::shared_ptr<storage::Database>> databases_;
  std::vector<std::unique_ptr<Grants>> grants_;
  std::vector<std::unique_ptr<PendingRequests>> pending_;
  const crypto::Sha256Digest token_ = crypto::sha256(as_bytes("a token"));
};

TEST_F(OAuthNodes, GiveOneCallerOfManyWhatMayBeUsedOnce) {
  const auto code = granted(0);
  EXPECT_EQ(let_through([&](std::size_t node) { return std::holds_alternative<Grants::Redeemed>(redeem(node, code)); }), 1);
  const auto pushed = must(pending_[0]->push("app", "parameters"));
  EXPECT_EQ(let_through([&](std::size_t node) { return static_cast<bool>(pending_[node]->take_pushed(pushed, "app")); }), 1);
  const auto handle = must(pending_[1]->begin({"app", "request", "ticket", "statement", {1}, {2}, test_start + std::chrono::minutes(5)}));
  EXPECT_EQ(let_through([&](std::size_t node) { return static_cast<bool>(pending_[node]->exchange(handle)); }), 1);
  EXPECT_EQ(let_through([&](std::size_t node) {
              return static_cast<bool>(grants_[node]->use_proof(token_, test_start + std::chrono::minutes(2)));
            }),
            1);
  const auto grant = std::get<Grants::Redeemed>(redeem(0, granted(1))).grant;
  const auto refresh = must(grants_[0]->add_refresh_token(grant));
  EXPECT_EQ(let_through([&](std::size_t node) { return std::holds_alternative<Grants::Refreshed>(grants_[node]->refresh(refresh, app_)); }),
            1);
}

TEST_F(OAuthNodes, EndTheGrantOfACodeThatIsUsedOnBoth) {
  const auto code = granted(0);
  const auto grant = std::get<Grants::Redeemed>(redeem(0, code)).grant;
  EXPECT_TRUE(grants_[0]->check_live(token_, grant));
  EXPECT_TRUE(std::holds_alternative<Refusal>(redeem(1, code)));
  EXPECT_FALSE(grants_[1]->check_live(token_, grant));
  clock_->advance(std::chrono::seconds(1));
  EXPECT_FALSE(grants_[0]->check_live(token_, grant));
}

TEST_F(OAuthNodes, RefuseATokenAtMostASecondAfterTheOtherRevokedIt) {
  const auto grant = std::get<Grants::Redeemed>(redeem(0, granted(0))).grant;
  for (const auto& node : grants_) EXPECT_TRUE(node->check_live(token_, grant));
  ASSERT_TRUE(grants_[0]->revoke_access_token("a token", test_start + std::chrono::hours(1)));
  EXPECT_FALSE(grants_[0]->check_live(token_, grant)) << "at once on the node that was told";
  clock_->advance(std::chrono::seconds(1));
  EXPECT_FALSE(grants_[1]->check_live(token_, grant));
}

TEST_F(OAuthNodes, MakeOneFirstKeyOfAccessTokens) {
  std::atomic<int> made = 0;
  const auto begun = let_through([&](std::size_t node) {
    return static_cast<bool>(TokenKeyRegister(databases_[node], clock_).begin([&]() -> Result<KeptTokenKey> {
      ++made;
      return KeptTokenKey{"key", "kid-1", UnixTime{}};
    }));
  });
  EXPECT_EQ(begun, 16);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(must(TokenKeyRegister(databases_[1], clock_).keys()).size(), 1U);
}

}  // namespace
}  // namespace intaglio::oauth
