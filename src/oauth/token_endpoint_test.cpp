#include "oauth/token_endpoint.h"

#include <gtest/gtest.h>

#include "oauth/migrations.h"
#include "oauth/test_support.h"

namespace intaglio::oauth {
namespace {

using test::must;

constexpr const char* issuer = "https://sign.example";
constexpr const char* endpoint = "https://sign.example/csc/v2/oauth2/token";
constexpr const char* assertion_type = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

class TokenEndpointTest : public testing::Test {
 protected:
  TokenEndpointTest() {
    database_.migrate(migrations());
    auto made = must(make_client_secret());
    secret_ = std::string(as_text(made.secret.reveal()));
    Client old{must(ClientId::parse("old")), "Old", std::nullopt, made.hash, {}};
    old.compatibility = {Compatibility::token_query};
    clients_ = std::make_shared<const Clients>(must(
        Clients::make({keyed_.registered(), Client{must(ClientId::parse("secretive")), "Secretive", std::nullopt, std::move(made.hash), {}},
                       std::move(old)})));
    restart();
  }
  void restart() {
    endpoint_.reset();
    tokens_.reset();
    database_.reopen();
    const auto grants = std::make_shared<Grants>(database_.get(), clock_);
    tokens_ = must(AccessTokens::make({issuer, std::chrono::seconds{3600}}, key_, clients_, grants, clock_));
    const auto authentication = std::make_shared<ClientAuthentication>(
        ClientAuthenticationConfig{{issuer, endpoint}, std::chrono::seconds{300}}, clients_, database_.get(), clock_);
    endpoint_ = std::make_unique<TokenEndpoint>(issuer, authentication, tokens_, grants, clock_);
  }
  [[nodiscard]] http::Response post(std::string body, const std::string& authorization = "") const {
    http::Request request;
    request.method = "POST";
    request.path = "/csc/v2/oauth2/token";
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    if (!authorization.empty()) request.headers["authorization"] = authorization;
    request.body = std::move(body);
    return endpoint_->answer(request);
  }
  [[nodiscard]] http::Response post_assertion(const std::string& assertion, const std::string& more = "") const {
    return post(std::string("grant_type=client_credentials&client_id=keyed&client_assertion_type=") + assertion_type +
                "&client_assertion=" + assertion + more);
  }
  [[nodiscard]] json::Value claims(std::string_view jti = "one") const { return keyed_.claims(endpoint, clock_->now(), jti); }
  static void expect_refusal(const http::Response& answer, unsigned status, std::string_view error, std::string_view description) {
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(body.at("error"), error);
    EXPECT_EQ(body.at("error_description"), description);
    EXPECT_EQ(answer.body.find("access_token"), std::string::npos);
  }
  void expect_assertion_refused(const json::Value& changed, std::string_view typ = "JWT") const {
    expect_refusal(post_assertion(keyed_.sign(changed, typ)), 401, "invalid_client", "Invalid parameter client_assertion");
  }

  test::TemporaryDatabase database_;
  test::TestClient keyed_{"keyed"};
  std::string secret_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test::test_start);
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<crypto::SoftwareKey> key_ = must(crypto::SoftwareKey::generate());
  std::shared_ptr<AccessTokens> tokens_;
  std::unique_ptr<TokenEndpoint> endpoint_;
};

TEST_F(TokenEndpointTest, IssuesATokenThatTheServiceAccepts) {
  const auto answer = post_assertion(keyed_.sign(claims()), "&scope=service");
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto body = must(json::parse(answer.body));
  EXPECT_EQ(body.at("token_type"), "Bearer");
  EXPECT_EQ(body.at("expires_in"), 3600);
  EXPECT_EQ(body.at("scope"), "service");
  http::Request request;
  request.headers["authorization"] = "Bearer " + body.at("access_token").get<std::string>();
  const auto caller = tokens_->check(request);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->id, "keyed");
  EXPECT_NE(std::find(answer.headers.begin(), answer.headers.end(), std::pair<std::string, std::string>("Cache-Control", "no-store")),
            answer.headers.end());
}

TEST_F(TokenEndpointTest, TakesAnAssertionWithoutTypeAndWithTheIssuerAsAudience) {
  auto changed = claims();
  changed["aud"] = json::Value::array({issuer});
  EXPECT_EQ(post_assertion(keyed_.sign(changed, "client-authentication+jwt")).status, 200U);
}

TEST_F(TokenEndpointTest, TakesAnAssertionWithoutATypeAtAllAsOtherLibrariesMakeIt) {
  EXPECT_EQ(post_assertion(keyed_.sign_untyped(claims())).status, 200U);
  auto changed = claims("other");
  changed["sub"] = "other";
  expect_refusal(post_assertion(keyed_.sign_untyped(changed)), 401, "invalid_client", "Invalid parameter client_assertion");
}

TEST_F(TokenEndpointTest, TakesASecretInTheHeaderOrInTheBody) {
  EXPECT_EQ(post("grant_type=client_credentials&client_id=secretive&client_secret=" + secret_).status, 200U);
  const auto basic = "Basic " + encode_base64(as_bytes("secretive:" + secret_));
  EXPECT_EQ(post("grant_type=client_credentials", basic).status, 200U);
  EXPECT_EQ(post("grant_type=client_credentials&client_id=secretive", basic).status, 200U);
}

TEST_F(TokenEndpointTest, RefusesAnAssertionThatWasUsedEvenAfterARestart) {
  const auto assertion = keyed_.sign(claims("once"));
  EXPECT_EQ(post_assertion(assertion).status, 200U);
  expect_refusal(post_assertion(assertion), 401, "invalid_client", "Invalid parameter client_assertion");
  restart();
  expect_refusal(post_assertion(assertion), 401, "invalid_client", "Invalid parameter client_assertion");
  expect_assertion_refused(claims("once"));
  EXPECT_EQ(post_assertion(keyed_.sign(claims("twice"))).status, 200U);
}

TEST_F(TokenEndpointTest, RefusesAnAssertionOfAnotherKeyOrKind) {
  const test::TestClient impostor("keyed");
  expect_refusal(post_assertion(impostor.sign(claims())), 401, "invalid_client", "Invalid parameter client_assertion");
  expect_assertion_refused(claims(), "at+jwt");
  expect_assertion_refused(claims(), "intaglio-sad+jwt");
  expect_refusal(post_assertion("not-a-jws"), 401, "invalid_client", "Invalid parameter client_assertion");
}

TEST_F(TokenEndpointTest, RefusesAnAssertionOfAnotherSubjectAudienceOrTime) {
  const auto now = unix_seconds(clock_->now());
  const std::vector<std::pair<std::string, json::Value>> changes{{"iss", "other"},
                                                                 {"sub", "other"},
                                                                 {"aud", "https://else"},
                                                                 {"aud", json::Value::array({issuer, "https://else"})},
                                                                 {"aud", json::Value::array()},
                                                                 {"aud", 5},
                                                                 {"exp", now},
                                                                 {"exp", now - 1},
                                                                 {"exp", now + 331},
                                                                 {"exp", "soon"},
                                                                 {"iat", now + 31},
                                                                 {"nbf", now + 31},
                                                                 {"iat", "now"},
                                                                 {"jti", ""},
                                                                 {"jti", 7},
                                                                 {"jti", std::string(257, 'j')}};
  for (const auto& [member, value] : changes) {
    SCOPED_TRACE(member + " = " + value.dump());
    auto changed = claims();
    changed[member] = value;
    expect_assertion_refused(changed);
  }
  for (const auto* member : {"iss", "sub", "aud", "exp", "jti"}) {
    SCOPED_TRACE(std::string(member) + " missing");
    auto changed = claims();
    changed.erase(member);
    expect_assertion_refused(changed);
  }
}

TEST_F(TokenEndpointTest, RefusesInTheOrderAndWithTheTextsOfTheApi) {
  const auto basic = [](const std::string& text) { return "Basic " + encode_base64(as_bytes(text)); };
  expect_refusal(post(""), 400, "invalid_request", "Missing parameter client_id");
  expect_refusal(post("grant_type=client_credentials"), 400, "invalid_request", "Missing parameter client_id");
  expect_refusal(post("client_id=keyed"), 400, "invalid_request", "Missing parameter grant_type");
  expect_refusal(post("client_id=keyed&grant_type=password"), 400, "invalid_request", "Invalid parameter grant_type");
  expect_refusal(post("client_id=keyed&grant_type=authorization_code"), 401, "invalid_request", "Client authorization required");
  expect_refusal(post("client_id=nobody&grant_type=client_credentials"), 400, "invalid_request", "Invalid parameter client_id");
  expect_refusal(post("client_id=keyed&grant_type=client_credentials"), 401, "invalid_request", "Client authorization required");
  expect_refusal(post("client_id=secretive&grant_type=client_credentials&client_secret=wrong"), 400, "invalid_request",
                 "Invalid parameter client_secret");
  expect_refusal(post("client_id=keyed&grant_type=client_credentials&client_secret=" + secret_), 400, "invalid_request",
                 "Invalid parameter client_secret");
  expect_refusal(post("grant_type=client_credentials", basic("secretive:wrong")), 400, "invalid_request",
                 "Invalid parameter client_secret");
  expect_refusal(post("grant_type=client_credentials&client_id=keyed", basic("secretive:" + secret_)), 400, "invalid_request",
                 "Invalid parameter client_id");
  expect_refusal(post("grant_type=client_credentials", basic("nocolon")), 401, "invalid_client", "Invalid authorization header");
  expect_refusal(post("grant_type=client_credentials", "Bearer abc"), 401, "invalid_client", "Invalid authorization header");
  expect_refusal(post("grant_type=client_credentials&client_secret=x", basic("secretive:" + secret_)), 400, "invalid_request",
                 "More than one client authentication");
  expect_refusal(post("grant_type=client_credentials&client_id=keyed&client_assertion=x"), 400, "invalid_request",
                 "Invalid parameter client_assertion_type");
  expect_refusal(post("client_id=a&client_id=b"), 400, "invalid_request", "A parameter is malformed or came twice");
  expect_refusal(post_assertion(keyed_.sign(claims()), "&scope=credential"), 400, "invalid_scope",
                 "The requested scope is invalid, unknown, or malformed");
}

TEST_F(TokenEndpointTest, RefusesABodyOfAnotherType) {
  http::Request request;
  request.headers["content-type"] = "application/json";
  request.body = "{}";
  expect_refusal(endpoint_->answer(request), 400, "invalid_request", "The body of a token request is application/x-www-form-urlencoded");
}

TEST_F(TokenEndpointTest, TakesParametersFromTheQueryOfAClientThatIsRegisteredForItAlone) {
  const auto ask = [&](const std::string& client, const std::string& query, const std::string& body = "") {
    http::Request request;
    request.method = "POST";
    request.path = "/csc/v2/oauth2/token";
    request.query = query;
    request.body = body;
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    request.headers["authorization"] = "Basic " + encode_base64(as_bytes(client + ":" + secret_));
    return endpoint_->answer(request);
  };
  const std::string query = "grant_type=client_credentials&client_id=";
  EXPECT_EQ(ask("old", query + "old").status, 200U);
  EXPECT_EQ(ask("old", "grant_type=client_credentials").status, 200U);
  EXPECT_EQ(ask("old", "", query + "old").status, 200U) << "it may do as others do";
  const std::string wrong_place = "The body of a token request is application/x-www-form-urlencoded";
  expect_refusal(ask("secretive", query + "secretive"), 400, "invalid_request", wrong_place);
  expect_refusal(ask("nobody", query + "nobody"), 400, "invalid_request", wrong_place);
  // A secret in an address would stand in logs.
  for (const std::string name : {"client_secret", "client_assertion"}) {
    expect_refusal(ask("old", query + "old&" + name + "=" + secret_), 400, "invalid_request", "Invalid parameter " + name);
  }
  // What stands in the body counts, and the query beside it is not read.
  expect_refusal(ask("old", query + "old", "client_id=old"), 400, "invalid_request", "Missing parameter grant_type");
  expect_refusal(ask("old", query + "old&client_id=old"), 400, "invalid_request", "A parameter is malformed or came twice");
}

TEST_F(TokenEndpointTest, ForgetsUsedAssertionsOnlyWhenTheyCouldNotBeUsedAgain) {
  const auto first = claims("first");
  EXPECT_EQ(post_assertion(keyed_.sign(first)).status, 200U);
  clock_->advance(std::chrono::seconds{59});
  EXPECT_EQ(post_assertion(keyed_.sign(claims("second"))).status, 200U);
  expect_assertion_refused(first);
  clock_->advance(std::chrono::seconds{60});
  EXPECT_EQ(post_assertion(keyed_.sign(claims("third"))).status, 200U);
  expect_assertion_refused(first);
}

}  // namespace
}  // namespace intaglio::oauth
