#include "oauth/dpop.h"

#include <gtest/gtest.h>

#include "oauth/migrations.h"
#include "oauth/test_support.h"
#include "oauth/token_endpoint.h"

namespace intaglio::oauth {
namespace {

using test::must;

constexpr const char* issuer = "https://sign.example";
constexpr const char* token_path = "/csc/v2/oauth2/token";
constexpr const char* assertion_type = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// A key of a client that makes proofs with it.
class Holder {
 public:
  [[nodiscard]] json::Value header() const {
    auto header = json::Value::object();
    header["alg"] = "ES256";
    header["typ"] = "dpop+jwt";
    header["jwk"] = must(json::parse(must(crypto::encode_jwk(key_->public_key()))));
    return header;
  }
  [[nodiscard]] std::string sign(const json::Value& header, const json::Value& claims) const {
    auto token = encode_base64url(as_bytes(json::encode(header))) + "." + encode_base64url(as_bytes(json::encode(claims)));
    const auto signature = must(key_->sign(crypto::SignatureSuite::ecdsa_sha256, as_bytes(token)));
    return token + "." + encode_base64url(must(crypto::ecdsa_to_raw(signature, 32)));
  }
  [[nodiscard]] std::string thumbprint() const { return must(crypto::jwk_thumbprint(key_->public_key())); }

 private:
  std::shared_ptr<crypto::SoftwareKey> key_ = must(crypto::SoftwareKey::generate());
};

class DpopTest : public testing::Test {
 protected:
  DpopTest() {
    database_.migrate(migrations());
    auto bound = strict_.registered();
    bound.dpop_bound = true;
    clients_ = std::make_shared<const Clients>(must(Clients::make({app_.registered(), std::move(bound)})));
    grants_ = std::make_shared<Grants>(database_.get(), clock_);
    tokens_ =
        must(AccessTokens::make({issuer, std::chrono::seconds{3600}}, must(crypto::SoftwareKey::generate()), clients_, grants_, clock_));
    const auto authentication =
        std::make_shared<ClientAuthentication>(ClientAuthenticationConfig{{issuer}}, clients_, database_.get(), clock_);
    endpoint_ = std::make_unique<TokenEndpoint>(issuer, authentication, tokens_, grants_, clock_);
  }
  [[nodiscard]] json::Value claims(std::string_view method, std::string_view path, std::string_view token = "") {
    auto claims = json::Value::object();
    claims["htm"] = method;
    claims["htu"] = std::string(issuer) + std::string(path);
    claims["iat"] = unix_seconds(clock_->now());
    claims["jti"] = "p" + std::to_string(++count_);
    if (!token.empty()) claims["ath"] = encode_base64url(crypto::sha256(as_bytes(token)));
    return claims;
  }
  [[nodiscard]] http::Response ask(const test::TestClient& client, const std::string& id, const std::string& proof) {
    http::Request request;
    request.method = "POST";
    request.path = token_path;
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    if (!proof.empty()) request.headers["dpop"] = proof;
    request.body = "grant_type=client_credentials&client_id=" + id + "&client_assertion_type=" + assertion_type +
                   "&client_assertion=" + client.sign(client.claims(issuer, clock_->now(), "a" + std::to_string(++count_)));
    return endpoint_->answer(request);
  }
  [[nodiscard]] std::string bound_token() {
    const auto answer = ask(app_, "app", holder_.sign(holder_.header(), claims("POST", token_path)));
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("token_type"), "DPoP");
    return body.at("access_token").get<std::string>();
  }
  [[nodiscard]] Result<http::Principal> use(const std::string& scheme, const std::string& token, const std::string& proof) {
    http::Request request;
    request.method = "POST";
    request.path = "/csc/v2/credentials/list";
    request.headers["authorization"] = scheme + " " + token;
    if (!proof.empty()) request.headers["dpop"] = proof;
    return tokens_->check(request);
  }
  [[nodiscard]] std::string proof(const std::string& token) {
    return holder_.sign(holder_.header(), claims("POST", "/csc/v2/credentials/list", token));
  }
  void expect_refused(const json::Value& header, const json::Value& changed, const std::string& token) {
    const auto used = use("DPoP", token, holder_.sign(header, changed));
    EXPECT_FALSE(used);
  }

  test::TemporaryDatabase database_;
  test::TestClient app_{"app"}, strict_{"strict"};
  Holder holder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test::test_start);
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<Grants> grants_;
  std::shared_ptr<AccessTokens> tokens_;
  std::unique_ptr<TokenEndpoint> endpoint_;
  unsigned count_ = 0;
};

TEST_F(DpopTest, ABoundTokenIsUsedWithAProofOfItsKey) {
  const auto token = bound_token();
  const auto caller = use("DPoP", token, proof(token));
  ASSERT_TRUE(caller) << caller.error().detail;
  EXPECT_EQ(caller->id, "app");
  auto queried = claims("POST", "/csc/v2/credentials/list?x=1#y", token);
  EXPECT_TRUE(use("dpop", token, holder_.sign(holder_.header(), queried)));
}

TEST_F(DpopTest, ABoundTokenIsNoBearerTokenAndABearerTokenIsNotBound) {
  const auto token = bound_token();
  EXPECT_FALSE(use("Bearer", token, ""));
  EXPECT_FALSE(use("Bearer", token, proof(token)));
  EXPECT_FALSE(use("DPoP", token, ""));
  const auto plain = must(tokens_->issue(*clients_->find("app"), "service")).token;
  EXPECT_TRUE(use("Bearer", plain, ""));
  EXPECT_FALSE(use("DPoP", plain, proof(plain)));
}

TEST_F(DpopTest, AProofOfAnotherKeyIsRefused) {
  const auto token = bound_token();
  const Holder thief;
  EXPECT_FALSE(use("DPoP", token, thief.sign(thief.header(), claims("POST", "/csc/v2/credentials/list", token))));
  EXPECT_FALSE(use("DPoP", token, thief.sign(holder_.header(), claims("POST", "/csc/v2/credentials/list", token))));
}

TEST_F(DpopTest, AProofIsUsedOnceEvenAfterAWhile) {
  const auto token = bound_token();
  const auto one = proof(token);
  EXPECT_TRUE(use("DPoP", token, one));
  EXPECT_EQ(use("DPoP", token, one).error().code, ErrorCode::replayed);
  clock_->advance(std::chrono::seconds{60});
  EXPECT_TRUE(use("DPoP", token, proof(token)));
  EXPECT_EQ(use("DPoP", token, one).error().code, ErrorCode::replayed);
}

TEST_F(DpopTest, EachClaimOfAProofIsLookedAt) {
  const auto token = bound_token();
  const auto now = unix_seconds(clock_->now());
  const std::vector<std::pair<std::string, json::Value>> changes{{"htm", "GET"},
                                                                 {"htm", "post"},
                                                                 {"htu", "https://sign.example/csc/v2/credentials/info"},
                                                                 {"htu", "https://other.example/csc/v2/credentials/list"},
                                                                 {"htu", "http://sign.example/csc/v2/credentials/list"},
                                                                 {"iat", now - 61},
                                                                 {"iat", now + 61},
                                                                 {"iat", "now"},
                                                                 {"ath", encode_base64url(crypto::sha256(as_bytes("another")))},
                                                                 {"jti", ""},
                                                                 {"jti", 7},
                                                                 {"jti", std::string(257, 'j')}};
  for (const auto& [member, value] : changes) {
    SCOPED_TRACE(member + " = " + value.dump());
    auto changed = claims("POST", "/csc/v2/credentials/list", token);
    changed[member] = value;
    expect_refused(holder_.header(), changed, token);
  }
  for (const auto* member : {"htm", "htu", "iat", "ath", "jti"}) {
    SCOPED_TRACE(std::string(member) + " missing");
    auto changed = claims("POST", "/csc/v2/credentials/list", token);
    changed.erase(member);
    expect_refused(holder_.header(), changed, token);
  }
}

TEST_F(DpopTest, EachMemberOfItsHeaderIsLookedAt) {
  const auto token = bound_token();
  const std::vector<std::function<void(json::Value&)>> changes{[](json::Value& header) { header["typ"] = "JWT"; },
                                                               [](json::Value& header) { header.erase("typ"); },
                                                               [](json::Value& header) { header["alg"] = "none"; },
                                                               [](json::Value& header) { header["alg"] = "HS256"; },
                                                               [](json::Value& header) { header.erase("jwk"); },
                                                               [](json::Value& header) { header["jwk"] = "text"; },
                                                               [](json::Value& header) { header["jwk"]["d"] = "AA"; },
                                                               [](json::Value& header) { header["jwk"]["crv"] = "P-384"; },
                                                               [](json::Value& header) { header["jwk"]["x"] = std::string(43, 'A'); },
                                                               [](json::Value& header) { header["kid"] = "k"; },
                                                               [](json::Value& header) { header["crit"] = {"exp"}; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    auto header = holder_.header();
    changes[i](header);
    expect_refused(header, claims("POST", "/csc/v2/credentials/list", token), token);
  }
  for (const auto& text : {std::string("x"), std::string("a.b.c"), std::string(5000, 'a'), proof(token) + "A"})
    EXPECT_FALSE(use("DPoP", token, text));
}

TEST_F(DpopTest, TheTokenEndpointTakesAGoodProofOrNone) {
  const auto refused = ask(app_, "app", holder_.sign(holder_.header(), claims("GET", token_path)));
  EXPECT_EQ(refused.status, 400U);
  EXPECT_EQ(must(json::parse(refused.body)).at("error"), "invalid_dpop_proof");
  EXPECT_EQ(must(json::parse(ask(app_, "app", "").body)).at("token_type"), "Bearer");
}

TEST_F(DpopTest, AClientThatIsRegisteredForItGetsNoBearerToken) {
  const auto refused = ask(strict_, "strict", "");
  EXPECT_EQ(refused.status, 400U);
  EXPECT_EQ(must(json::parse(refused.body)).at("error"), "invalid_dpop_proof");
  EXPECT_EQ(ask(strict_, "strict", holder_.sign(holder_.header(), claims("POST", token_path))).status, 200U);
}

}  // namespace
}  // namespace intaglio::oauth
