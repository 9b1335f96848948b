#include "oauth/token_keys.h"

#include <gtest/gtest.h>

#include "oauth/access_token.h"
#include "oauth/migrations.h"
#include "oauth/test_support.h"

namespace intaglio::oauth {
namespace {

using test::must;
using test::test_start;

constexpr const char* issuer = "https://sign.example";
constexpr std::chrono::seconds hour{3600};

Result<KeptTokenKey> first_key() { return KeptTokenKey{"key", "kid-1", UnixTime{}}; }

class TokenKeysTest : public testing::Test {
 protected:
  TokenKeysTest() {
    database_.migrate(migrations());
    grants_ = std::make_shared<Grants>(database_.get(), clock_);
    clients_ = std::make_shared<const Clients>(must(Clients::make({client_.registered()})));
    start({{first_, UnixTime{}}, {next_, test_start + hour}});
  }
  void start(const std::vector<TokenKeys::Given>& keys) {
    tokens_ = must(AccessTokens::make({issuer, hour}, must(TokenKeys::make(keys)), clients_, grants_, clock_));
  }
  [[nodiscard]] std::string issue() const { return must(tokens_->issue(*clients_->find("app"), "service")).token; }
  [[nodiscard]] bool is_believed(const std::string& token) const {
    http::Request request;
    request.headers["authorization"] = "Bearer " + token;
    return static_cast<bool>(tokens_->check(request));
  }
  /// A token as that key would sign it, if it did.
  [[nodiscard]] std::string signed_by(const crypto::Signer& key, std::chrono::seconds life = hour) const {
    const auto now = unix_seconds(clock_->now());
    return must(crypto::make_jws(key, "at+jwt", kid_of(key),
                                 json::encode({{"iss", issuer},
                                               {"aud", issuer},
                                               {"sub", "app"},
                                               {"client_id", "app"},
                                               {"scope", "service"},
                                               {"jti", "1"},
                                               {"iat", now},
                                               {"exp", now + life.count()}})));
  }
  [[nodiscard]] static std::string kid_of(const crypto::Signer& key) { return must(crypto::jwk_thumbprint(key.public_key())); }
  [[nodiscard]] static std::string kid_in(const std::string& token) { return must(crypto::peek_jws_header(token)).kid; }
  [[nodiscard]] std::vector<std::string> shown() const {
    std::vector<std::string> kids;
    const auto set = must(json::parse(must(tokens_->jwks())));
    for (const auto& key : set.at("keys")) kids.push_back(key.at("kid").get<std::string>());
    return kids;
  }

  test::TemporaryDatabase database_;
  test::TestClient client_{"app"};
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test_start);
  std::shared_ptr<crypto::SoftwareKey> first_ = must(crypto::SoftwareKey::generate()), next_ = must(crypto::SoftwareKey::generate());
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<Grants> grants_;
  std::unique_ptr<AccessTokens> tokens_;
};

TEST_F(TokenKeysTest, TheNextKeyIsShownBeforeItSignsAndSignsWhenItsTimeComes) {
  EXPECT_EQ(shown(), (std::vector<std::string>{kid_of(*first_), kid_of(*next_)}));
  clock_->advance(hour - std::chrono::seconds{1});
  EXPECT_EQ(kid_in(issue()), kid_of(*first_));
  clock_->advance(std::chrono::seconds{1});
  EXPECT_EQ(kid_in(issue()), kid_of(*next_));
  EXPECT_TRUE(is_believed(issue()));
}

TEST_F(TokenKeysTest, NothingIsBelievedOfAKeyThatDoesNotSignYet) {
  EXPECT_FALSE(is_believed(signed_by(*next_)));
  clock_->advance(hour);
  EXPECT_TRUE(is_believed(signed_by(*next_)));
}

TEST_F(TokenKeysTest, AFormerKeyIsShownAndBelievedUntilWhatItSignedHasEnded) {
  clock_->advance(hour - std::chrono::seconds{1});
  const auto last = issue();
  clock_->advance(hour / 2);
  EXPECT_TRUE(is_believed(last)) << "it outlives its key's turn";
  clock_->advance(max_access_token_life - hour / 2);
  EXPECT_EQ(shown(), (std::vector<std::string>{kid_of(*first_), kid_of(*next_)}));
  clock_->advance(std::chrono::seconds{1});
  EXPECT_EQ(shown(), (std::vector<std::string>{kid_of(*next_)}));
}

TEST_F(TokenKeysTest, NothingIsBelievedOfAKeyThatHasEnded) {
  clock_->advance(hour + max_access_token_life - std::chrono::seconds{1});
  const auto forged_before = signed_by(*first_, 4 * hour);
  EXPECT_TRUE(is_believed(forged_before));
  EXPECT_TRUE(is_believed(signed_by(*first_)));
  clock_->advance(std::chrono::seconds{1});
  EXPECT_FALSE(is_believed(forged_before)) << "nor is it remembered";
  EXPECT_FALSE(is_believed(signed_by(*first_)));
}

TEST_F(TokenKeysTest, AKeyUnderTheNameOfAnotherIsNone) {
  const auto stranger = must(crypto::SoftwareKey::generate());
  EXPECT_FALSE(is_believed(signed_by(*stranger)));
  EXPECT_FALSE(is_believed(must(crypto::make_jws(*stranger, "at+jwt", kid_of(*first_), "{}"))));
}

TEST_F(TokenKeysTest, AreTakenAnewWhileTheServiceRuns) {
  start({{first_, UnixTime{}}});
  const auto token = issue();
  EXPECT_EQ(shown(), std::vector{kid_of(*first_)});
  tokens_->take_keys(must(TokenKeys::make({{first_, UnixTime{}}, {next_, test_start + hour}})));
  EXPECT_EQ(shown(), (std::vector{kid_of(*first_), kid_of(*next_)}));
  EXPECT_TRUE(is_believed(token));
  clock_->advance(hour);
  EXPECT_EQ(kid_in(issue()), kid_of(*next_));
  EXPECT_TRUE(is_believed(issue()));
}

TEST_F(TokenKeysTest, StandInTheOrderInWhichTheySignAndNoTokenOutlivesThem) {
  EXPECT_FALSE(TokenKeys::make(std::vector<TokenKeys::Given>{}));
  EXPECT_FALSE(TokenKeys::make({{first_, test_start}, {next_, test_start - hour}}));
  const auto keys = must(TokenKeys::make({{first_, test_start}, {next_, test_start + hour}}));
  EXPECT_EQ(keys.current(test_start - hour).kid, kid_of(*first_)) << "a clock that was set back stops no service";
  const auto too_long = AccessTokens::make({issuer, max_access_token_life + std::chrono::seconds{1}}, first_, clients_, grants_, clock_);
  EXPECT_EQ(too_long.error().code, ErrorCode::configuration);
  const auto granted = must(tokens_->issue(*clients_->find("app"), GrantedToken{"g", "s", "service", "", 48 * hour, {}}));
  EXPECT_EQ(granted.expires_in, max_access_token_life);
}

TEST_F(TokenKeysTest, TheRowOfKeysSurvivesARestart) {
  const auto kept = [&] { return TokenKeyRegister(database_.get(), clock_); };
  EXPECT_TRUE(must(kept().keys()).empty());
  ASSERT_TRUE(kept().begin(first_key));
  EXPECT_TRUE(kept().begin([]() -> Result<KeptTokenKey> {
    ADD_FAILURE() << "there is one already";
    return Error{ErrorCode::internal, "made twice"};
  }));
  EXPECT_EQ(must(kept().next_id("key")), "key.2");
  ASSERT_TRUE(kept().announce({"key.2", "kid-2", test_start + hour}));
  grants_.reset();
  tokens_.reset();
  database_.reopen();
  const auto keys = must(kept().keys());
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[1].id, "key.2");
  EXPECT_EQ(keys[1].kid, "kid-2");
  EXPECT_EQ(keys[1].signs_from, test_start + hour);
}

TEST_F(TokenKeysTest, OneKeyIsAnnouncedAtATimeAndNoneForThePast) {
  const TokenKeyRegister kept(database_.get(), clock_);
  ASSERT_TRUE(kept.begin(first_key));
  EXPECT_EQ(kept.announce({"key.2", "kid-2", test_start - std::chrono::seconds{1}}).error().code, ErrorCode::invalid_request);
  ASSERT_TRUE(kept.announce({"key.2", "kid-2", test_start + hour}));
  EXPECT_EQ(kept.announce({"key.3", "kid-3", test_start + 2 * hour}).error().code, ErrorCode::conflict);
  EXPECT_EQ(kept.check_announcement(test_start + 2 * hour).error().code, ErrorCode::conflict);
  clock_->advance(hour);
  EXPECT_TRUE(kept.announce({"key.3", "kid-3", test_start + 2 * hour}));
}

TEST_F(TokenKeysTest, AKeyEndsADayAfterTheNextOneSignsAndItsNumberIsNotGivenAgain) {
  const TokenKeyRegister kept(database_.get(), clock_);
  ASSERT_TRUE(kept.begin(first_key));
  ASSERT_TRUE(kept.announce({"key.2", "kid-2", test_start + hour}));
  clock_->advance(hour + max_access_token_life - std::chrono::seconds{1});
  EXPECT_TRUE(must(kept.ended()).empty());
  clock_->advance(std::chrono::seconds{1});
  const auto ended = must(kept.ended());
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].id, "key");
  ASSERT_TRUE(kept.forget(ended[0]));
  EXPECT_EQ(must(kept.keys()).size(), 1U);
  EXPECT_EQ(must(kept.next_id("key")), "key.3");
}

}  // namespace
}  // namespace intaglio::oauth
