#include "oauth/access_token.h"

#include <gtest/gtest.h>

#include "oauth/migrations.h"
#include "oauth/test_support.h"

namespace intaglio::oauth {
namespace {

using test::must;

constexpr const char* issuer = "https://sign.example";

/// Counts what it signs; verification needs the public key alone.
class AccessTokenTest : public testing::Test {
 protected:
  AccessTokenTest() {
    database_.migrate(migrations());
    grants_ = std::make_shared<Grants>(database_.get(), clock_);
    clients_ = std::make_shared<const Clients>(must(Clients::make({client_.registered()})));
    tokens_ = must(AccessTokens::make({issuer, std::chrono::seconds{3600}, 4}, key_, clients_, grants_, clock_));
  }
  [[nodiscard]] std::string issue() { return must(tokens_->issue(*clients_->find("app"), "service")).token; }
  [[nodiscard]] static http::Request with(const std::string& header) {
    http::Request request;
    request.headers["authorization"] = header;
    return request;
  }
  [[nodiscard]] static json::Value claims(UnixTime now) {
    return {{"iss", issuer},
            {"aud", issuer},
            {"sub", "app"},
            {"client_id", "app"},
            {"scope", "service"},
            {"jti", "1"},
            {"iat", unix_seconds(now)},
            {"exp", unix_seconds(now) + 60}};
  }
  [[nodiscard]] ErrorCode refusal(const std::string& token) {
    const auto checked = tokens_->check(with("Bearer " + token));
    EXPECT_FALSE(checked);
    return checked ? ErrorCode::internal : checked.error().code;
  }

  test::TemporaryDatabase database_;
  test::TestClient client_{"app"};
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test::test_start);
  std::shared_ptr<crypto::SoftwareKey> key_ = must(crypto::SoftwareKey::generate());
  std::string kid_ = must(crypto::jwk_thumbprint(key_->public_key()));
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<Grants> grants_;
  std::unique_ptr<AccessTokens> tokens_;
};

/// A database that can be lost, and that counts who reads it.
class WatchedDatabase final : public storage::Database {
 public:
  explicit WatchedDatabase(std::shared_ptr<storage::Database> database) : database_(std::move(database)) {}
  Status write(const std::function<Status(storage::Transaction&)>& work) override { return database_->write(work); }
  Status read(const std::function<Status(storage::Reader&)>& work) override {
    ++reads;
    if (lost) return Error{ErrorCode::storage_unavailable, "lost"};
    auto done = database_->read(work);
    if (after_read) after_read();
    return done;
  }
  void on_commit(std::function<Status()> hook) override { database_->on_commit(std::move(hook)); }
  Status migrate(const std::vector<storage::Migration>& series) override { return database_->migrate(series); }

  unsigned reads = 0;
  bool lost = false;
  std::function<void()> after_read;

 private:
  std::shared_ptr<storage::Database> database_;
};

class LiveTokenTest : public testing::Test {
 protected:
  LiveTokenTest() {
    file_.migrate(migrations());
    sql("INSERT INTO oauth_grants (id, client, signer, ended, expires) VALUES ('g', 'app', 'alice', 0, 9999999999)");
    database_ = std::make_shared<WatchedDatabase>(file_.get());
    grants_ = std::make_shared<Grants>(database_, clock_);
  }
  void sql(std::string_view text) const {
    const auto done = file_.get()->write([&](storage::Transaction& transaction) -> Status {
      auto ran = transaction.execute(text, {});
      return ran ? Status() : Status(ran.error());
    });
    if (!done) panic(done.error().detail.c_str());
  }
  [[nodiscard]] bool live(std::string_view grant = "g") const { return static_cast<bool>(grants_->check_live(token_, grant)); }

  test::TemporaryDatabase file_;
  std::shared_ptr<WatchedDatabase> database_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test::test_start);
  std::shared_ptr<Grants> grants_;
  const crypto::Sha256Digest token_ = crypto::sha256(as_bytes("a token"));
};

TEST_F(LiveTokenTest, IsAskedOfTheDatabaseOnceInASecond) {
  EXPECT_TRUE(live());
  EXPECT_TRUE(live());
  EXPECT_EQ(database_->reads, 1U);
  clock_->advance(std::chrono::seconds{1});
  EXPECT_TRUE(live());
  EXPECT_EQ(database_->reads, 2U);
}

TEST_F(LiveTokenTest, EndsAtOnceHoweverOftenItWasUsedInThisSecond) {
  EXPECT_TRUE(live());
  EXPECT_TRUE(live());
  ASSERT_TRUE(grants_->revoke_access_token("a token", clock_->now() + std::chrono::hours{1}));
  EXPECT_FALSE(live());
  EXPECT_FALSE(live());
}

TEST_F(LiveTokenTest, EndsWithItsGrantWhoeverEndedIt) {
  EXPECT_TRUE(live());
  sql("UPDATE oauth_grants SET ended = 1 WHERE id = 'g'");
  EXPECT_FALSE(live());
  sql("UPDATE oauth_grants SET ended = 0 WHERE id = 'g'");
  EXPECT_TRUE(live());
  sql("DELETE FROM oauth_grants");
  EXPECT_FALSE(live());
}

TEST_F(LiveTokenTest, IsOfOneGrantAlone) {
  EXPECT_TRUE(live());
  EXPECT_FALSE(live("another"));
  EXPECT_TRUE(live());
}

TEST_F(LiveTokenTest, EndsThoughTheCommitThatEndsItCameWhileItWasAskedFor) {
  database_->after_read = [this] { sql("UPDATE oauth_grants SET ended = 1 WHERE id = 'g'"); };
  EXPECT_TRUE(live());
  database_->after_read = nullptr;
  EXPECT_FALSE(live());
}

TEST_F(LiveTokenTest, IsRefusedASecondAfterTheDatabaseWasLost) {
  EXPECT_TRUE(live());
  database_->lost = true;
  clock_->advance(std::chrono::seconds{1});
  EXPECT_EQ(grants_->check_live(token_, "g").error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(grants_->check_live(token_, "g").error().code, ErrorCode::storage_unavailable);
  database_->lost = false;
  EXPECT_TRUE(live());
}

TEST_F(AccessTokenTest, NamesTheClientThatItWasIssuedTo) {
  const auto checked = tokens_->check(with("Bearer " + issue()));
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->id, "app");
  EXPECT_EQ(checked->scopes, std::vector<std::string>{"service"});
}

TEST_F(AccessTokenTest, IsTakenWithAnySpellingOfTheScheme) { EXPECT_TRUE(tokens_->check(with("bearer " + issue()))); }

TEST_F(AccessTokenTest, IsRememberedUntilItEndsAndRefusedAfterwards) {
  const auto token = issue();
  EXPECT_TRUE(tokens_->check(with("Bearer " + token)));
  EXPECT_TRUE(tokens_->check(with("Bearer " + token)));
  EXPECT_EQ(tokens_->remembered(), 1U);
  clock_->advance(std::chrono::seconds{3599});
  EXPECT_TRUE(tokens_->check(with("Bearer " + token)));
  clock_->advance(std::chrono::seconds{1});
  EXPECT_EQ(refusal(token), ErrorCode::ticket_expired);
}

TEST_F(AccessTokenTest, MemoryOfTokensIsBounded) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(tokens_->check(with("Bearer " + issue())));
  EXPECT_LE(tokens_->remembered(), 4U);
}

TEST_F(AccessTokenTest, RefusesHeadersThatAreNoBearerHeader) {
  EXPECT_EQ(tokens_->check({}).error().code, ErrorCode::invalid_request);
  for (const std::string header : {"", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer a\"b", "token"}) {
    EXPECT_EQ(tokens_->check(with(header)).error().code, ErrorCode::invalid_request) << header;
  }
  EXPECT_EQ(tokens_->check(with("Bearer " + std::string(5000, 'a'))).error().code, ErrorCode::invalid_request);
}

TEST_F(AccessTokenTest, RefusesATokenOfAnotherKey) {
  const auto other = must(crypto::SoftwareKey::generate());
  EXPECT_EQ(refusal(must(crypto::make_jws(*other, "at+jwt", kid_, json::encode(claims(test::test_start))))), ErrorCode::not_authorised);
}

TEST_F(AccessTokenTest, RefusesATokenOfAnotherKindUnderOurKey) {
  EXPECT_EQ(refusal(must(crypto::make_jws(*key_, "JWT", kid_, json::encode(claims(test::test_start))))), ErrorCode::not_authorised);
}

TEST_F(AccessTokenTest, RefusesAnotherIssuerAnotherAudienceAndAClientThatIsGone) {
  for (const auto& [member, value] : {std::pair{"iss", "https://else"}, {"aud", "https://else"}, {"client_id", "gone"}}) {
    auto changed = claims(test::test_start);
    changed[member] = value;
    EXPECT_EQ(refusal(must(crypto::make_jws(*key_, "at+jwt", kid_, json::encode(changed)))), ErrorCode::not_authorised) << member;
  }
}

TEST_F(AccessTokenTest, RefusesATokenWithAMissingClaim) {
  for (const auto* member : {"iss", "aud", "client_id", "scope", "exp"}) {
    auto changed = claims(test::test_start);
    changed.erase(member);
    EXPECT_EQ(refusal(must(crypto::make_jws(*key_, "at+jwt", kid_, json::encode(changed)))), ErrorCode::not_authorised) << member;
  }
}

TEST_F(AccessTokenTest, SaysInTheAnswerWhatWasWrongWithTheToken) {
  const auto malformed = access_refusal({}, {ErrorCode::invalid_request, ""});
  EXPECT_EQ(malformed.status, 400U);
  EXPECT_EQ(malformed.body, R"({"error":"invalid_request","error_description":"Malformed authorization header."})");
  EXPECT_EQ(access_refusal({}, {ErrorCode::ticket_expired, ""}).status, 401U);
  const auto invalid = access_refusal({}, {ErrorCode::not_authorised, ""});
  EXPECT_EQ(invalid.status, 401U);
  EXPECT_EQ(invalid.headers.front().first, "WWW-Authenticate");
}

TEST(BoundedCache, ForgetsTheOldestAndWhatHasEnded) {
  BoundedCache<int> cache(2);
  const auto now = test::test_start;
  const auto later = now + std::chrono::seconds{10};
  const auto key = [](std::string_view text) { return crypto::sha256(as_bytes(text)); };
  cache.insert(key("a"), 1, later, now);
  EXPECT_EQ(cache.insert(key("a"), 7, later, now), 1);
  cache.insert(key("b"), 2, later, now);
  cache.insert(key("c"), 3, later, now);
  EXPECT_FALSE(cache.find(key("a"), now));
  EXPECT_EQ(cache.find(key("c"), now), 3);
  EXPECT_FALSE(cache.find(key("c"), later));
  EXPECT_EQ(cache.insert(key("c"), 4, later + std::chrono::seconds{1}, later), 4);
  cache.erase(key("c"));
  EXPECT_FALSE(cache.find(key("c"), now));
  EXPECT_LE(cache.size(), 2U);
}

TEST(BoundedCache, KeepsNothingThatHasEndedOnceSomethingNewComes) {
  BoundedCache<int> cache(100);
  const auto now = test::test_start;
  for (int i = 0; i < 50; ++i) cache.insert(crypto::sha256(as_bytes(std::to_string(i))), i, now + std::chrono::seconds{1}, now);
  EXPECT_EQ(cache.size(), 50U);
  cache.insert(crypto::sha256(as_bytes("new")), 1, now + std::chrono::seconds{9}, now + std::chrono::seconds{1});
  EXPECT_EQ(cache.size(), 1U);
}

}  // namespace
}  // namespace intaglio::oauth
