#include "ssa/signer/approvals.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using oauth::test::must;
using test::digest_of;
using test::World;

constexpr const char* verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
constexpr const char* challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

class ApprovalsTest : public testing::Test {
 protected:
  [[nodiscard]] static std::string details(const std::string& credential, const std::vector<std::string>& texts) {
    auto one = json::Value::object();
    one["type"] = "credential";
    one["credentialID"] = credential;
    one["hashAlgorithmOID"] = "2.16.840.1.101.3.4.2.1";
    one["documentDigests"] = json::Value::array();
    for (const auto& text : texts) one["documentDigests"].push_back({{"hash", encode_base64(digest_of(text))}, {"label", text}});
    return json::encode(json::Value::array({one}));
  }
  [[nodiscard]] http::Response start(const std::string& credential, const std::vector<std::string>& texts,
                                     const std::string& scope = "") const {
    const auto path =
        std::string("/csc/v2/oauth2/authorize?response_type=code&client_id=any&state=st&code_challenge_method=S256&code_challenge=") +
        challenge + (scope.empty() ? "" : "&scope=" + oauth::encode_form_value(scope)) +
        "&authorization_details=" + oauth::encode_form_value(details(credential, texts));
    return world.send("GET", path, "", "");
  }
  [[nodiscard]] static std::string location(const http::Response& answer) {
    for (const auto& [name, value] : answer.headers) {
      if (name == "Location") return value;
    }
    return "";
  }
  struct Page {
    std::string bearer;
    Bytes nonce;
  };
  [[nodiscard]] http::Response exchange(const std::string& handle) const {
    json::Value body = json::Value::object();
    body["handle"] = handle;
    return world.send("POST", "/sic/v1/approvals", json::encode(body), "");
  }
  [[nodiscard]] Page open(const std::string& credential, const std::vector<std::string>& texts, const std::string& scope = "") const {
    const auto address = location(start(credential, texts, scope));
    const auto answer = exchange(address.substr(address.find('#') + 1));
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    const auto content = must(parse_base64url(body.at("transaction").get<std::string>()));
    return {body.at("bearer").get<std::string>(), must(protocol::parse_transaction(content)).nonce};
  }
  [[nodiscard]] http::Response approve(const Page& page, const Bytes& nonce) const {
    json::Value body = json::Value::object();
    body["message"] = world.message(nonce);
    return world.send("POST", "/sic/v1/approvals/messages", json::encode(body), "Bearer " + page.bearer);
  }
  [[nodiscard]] static std::string redirect_of(const http::Response& answer) {
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body)).at("redirect").get<std::string>();
  }
  [[nodiscard]] std::string redeem(const std::string& address) const {
    const auto form = must(oauth::Form::parse(address.substr(address.find('?') + 1)));
    const auto assertion = world.any_client.sign(world.any_client.claims(World::base_url, world.clock->now(), must(crypto::random_id())));
    http::Request request;
    request.method = "POST";
    request.path = "/csc/v2/oauth2/token";
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    request.body = std::string("grant_type=authorization_code&client_id=any&code_verifier=") + verifier + "&code=" + *form.find("code") +
                   "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + assertion;
    const auto answer = world.router->dispatch(request);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body)).at("access_token").get<std::string>();
  }
  [[nodiscard]] std::string token(const std::string& credential, const std::vector<std::string>& texts,
                                  const std::string& scope = "") const {
    const auto page = open(credential, texts, scope);
    return redeem(redirect_of(approve(page, page.nonce)));
  }
  [[nodiscard]] http::Response call(const std::string& token, const std::string& path, const json::Value& body) const {
    return world.send("POST", path, json::encode(body), "Bearer " + token);
  }
  [[nodiscard]] static json::Value signing(const std::string& credential, const std::vector<std::string>& texts) {
    auto body = World::sign_body(credential, "", texts);
    body.erase("SAD");
    return body;
  }
  [[nodiscard]] static std::string description(const http::Response& answer) {
    return must(json::parse(answer.body)).at("error_description").get<std::string>();
  }
  World world;
};

TEST_F(ApprovalsTest, TheTokenSignsWhatWasApprovedAndNothingElse) {
  const auto given = token("alice-rsa", {"one", "two"});
  EXPECT_EQ(call(given, "/csc/v2/signatures/signHash", signing("alice-rsa", {"three"})).status, 400U);
  EXPECT_EQ(call(given, "/csc/v2/signatures/signHash", signing("bob-ec", {"one"})).status, 400U);
  EXPECT_EQ(world.sam->signs, 0U);
  const auto answer = call(given, "/csc/v2/signatures/signHash", signing("alice-rsa", {"two", "one"}));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  EXPECT_EQ(must(json::parse(answer.body)).at("signatures").size(), 2U);
  EXPECT_EQ(world.sam->last_sign->client_id, "any");
}

TEST_F(ApprovalsTest, ASadBesideATokenOfACredentialIsRefused) {
  const auto given = token("alice-rsa", {"one"});
  auto body = signing("alice-rsa", {"one"});
  body["SAD"] = world.sad("alice-rsa", {"one"});
  EXPECT_EQ(description(call(given, "/csc/v2/signatures/signHash", body)), "Invalid parameter SAD");
  EXPECT_EQ(world.sam->signs, 0U);
}

TEST_F(ApprovalsTest, ATokenOfACredentialStandsInThePlaceOfTheSadOfItsOwnClient) {
  const auto given = token("alice-rsa", {"one", "two"});
  EXPECT_EQ(world.sign("alice-rsa", given, {"one"}).status, 200U);
  EXPECT_EQ(description(world.sign("alice-rsa", given, {"one", "two"})), "Hash is not authorized by the SAD.");
  EXPECT_EQ(description(world.sign("alice-rsa", given, {"two"}, "waiting")), "Invalid parameter SAD");
  EXPECT_EQ(description(world.sign("alice-ec", given, {"two"})), "Invalid parameter credentialID");
  EXPECT_EQ(description(world.sign("alice-rsa", world.token("any"), {"two"})), "Invalid parameter SAD") << "no grant, no SAD";
  EXPECT_EQ(description(world.sign("alice-rsa", given.substr(0, given.size() - 4) + "AAAA", {"two"})), "Invalid parameter SAD");
  world.clock->advance(std::chrono::seconds{60});
  EXPECT_EQ(description(world.sign("alice-rsa", given, {"two"})), "SAD expired");
  EXPECT_EQ(world.sam->signs, 1U);
}

TEST_F(ApprovalsTest, ABoundTokenStandsInNoBody) {
  http::Request request;
  request.headers["authorization"] = "Bearer " + token("alice-rsa", {"one"});
  const auto holder = must(world.tokens->check(request));
  for (const auto& bound_to : {oauth::Confirmation{"of a key", ""}, oauth::Confirmation{"", "of a certificate"}}) {
    const oauth::GrantedToken granted{holder.grant, holder.subject, "credential", holder.credential, std::chrono::seconds{60}, bound_to};
    const auto bound = must(world.tokens->issue(*world.clients->find("any"), granted)).token;
    const auto refused = world.tokens->check_text(bound);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::not_authorised);
    EXPECT_EQ(description(world.sign("alice-rsa", bound, {"one"})), "Invalid parameter SAD");
  }
}

TEST_F(ApprovalsTest, ATokenOfACredentialOpensNothingElse) {
  const auto given = token("alice-rsa", {"one"});
  EXPECT_EQ(call(given, "/csc/v2/credentials/info", {{"credentialID", "alice-rsa"}}).status, 200U);
  EXPECT_EQ(call(given, "/csc/v2/credentials/info", {{"credentialID", "alice-ec"}}).status, 400U);
  for (const auto* path : {"/csc/v2/credentials/list", "/csc/v2/credentials/authorize", "/csc/v2/credentials/authorizeCheck",
                           "/sic/v1/transactions", "/sic/v1/keys", "/sic/v1/messages"}) {
    EXPECT_EQ(call(given, path, json::Value::object()).status, 401U) << path;
  }
}

TEST_F(ApprovalsTest, ATokenOfASignerSeesThatSignerAlone) {
  const auto given = token("alice-rsa", {"one"}, "credential service");
  const auto list = must(json::parse(call(given, "/csc/v2/credentials/list", json::Value::object()).body));
  EXPECT_EQ(list.at("credentialIDs"), json::Value::array({"alice-rsa", "alice-ec"}));
  EXPECT_EQ(description(call(given, "/csc/v2/credentials/list", {{"userID", "bob"}})), "userID parameter MUST be null");
  EXPECT_EQ(call(given, "/csc/v2/credentials/info", {{"credentialID", "alice-ec"}}).status, 200U);
  EXPECT_EQ(call(given, "/csc/v2/credentials/info", {{"credentialID", "bob-ec"}}).status, 400U);
  EXPECT_EQ(call(given, "/sic/v1/keys", json::Value::object()).status, 401U);
}

TEST_F(ApprovalsTest, OnlyTheMessageOfThisTransactionMakesACode) {
  const auto page = open("alice-rsa", {"one"});
  const auto other = open("alice-rsa", {"two"});
  EXPECT_EQ(description(approve(page, other.nonce)), "Invalid parameter message");
  EXPECT_EQ(world.sam->messages, 0U);
  world.sam->failure = Error{ErrorCode::authentication_failed, "wrong PIN"};
  EXPECT_EQ(approve(page, page.nonce).status, 400U);
  world.sam->failure.reset();
  EXPECT_TRUE(redirect_of(approve(page, page.nonce)).starts_with(World::client_redirect));
  EXPECT_EQ(approve(page, page.nonce).status, 401U);
}

TEST_F(ApprovalsTest, NobodyDecidesWithoutTheBearerOfThePage) {
  const auto page = open("alice-rsa", {"one"});
  for (const auto& bearer : {std::string("x"), page.bearer + "x", world.token("any")}) {
    EXPECT_EQ(world.send("POST", "/sic/v1/approvals/messages", "{}", "Bearer " + bearer).status, 401U);
    EXPECT_EQ(world.send("POST", "/sic/v1/approvals/refusals", "{}", "Bearer " + bearer).status, 401U);
  }
  EXPECT_EQ(world.send("POST", "/sic/v1/approvals/refusals", "{}", "").status, 400U);
  EXPECT_EQ(call(page.bearer, "/csc/v2/credentials/list", json::Value::object()).status, 401U);
  EXPECT_EQ(exchange("x").status, 400U);
}

TEST_F(ApprovalsTest, ASignerWhoDeclinesSendsTheClientAway) {
  const auto page = open("alice-rsa", {"one"});
  const auto address = redirect_of(world.send("POST", "/sic/v1/approvals/refusals", "{}", "Bearer " + page.bearer));
  EXPECT_NE(address.find("error=access_denied"), std::string::npos);
  EXPECT_NE(address.find("iss=https%3A%2F%2Fsign.example"), std::string::npos);
  EXPECT_EQ(approve(page, page.nonce).status, 401U);
}

TEST_F(ApprovalsTest, OpensNothingForAKeyThatCannotSign) {
  EXPECT_NE(location(start("nobody", {"one"})).find("error=access_denied"), std::string::npos);
  EXPECT_NE(location(start("alice-ec", {"one", "two"})).find("error=invalid_request"), std::string::npos);
  world.sam->credentials.front().state = protocol::KeyState::suspended;
  EXPECT_NE(location(start("alice-rsa", {"one"})).find("error=access_denied"), std::string::npos);
}

TEST_F(ApprovalsTest, ASadOfOneSignerFailsUnderTheTokenOfAnother) {
  http::Request request;
  request.headers["authorization"] = "Bearer " + token("bob-ec", {"one"}, "credential service");
  const auto bob = must(world.tokens->check(request));
  const auto bobs = must(world.tokens->issue(*world.clients->find("any"),
                                             oauth::GrantedToken{bob.grant, bob.subject, "service", "", std::chrono::seconds{60}, {}}))
                        .token;
  EXPECT_EQ(call(bobs, "/csc/v2/signatures/signHash", World::sign_body("bob-ec", world.sad("bob-ec", {"one"}), {"one"})).status, 200U);
  world.sam->signs = 0;
  const auto sad = world.sad("alice-rsa", {"one"});
  EXPECT_EQ(call(bobs, "/csc/v2/signatures/signHash", World::sign_body("alice-rsa", sad, {"one"})).status, 400U);
  EXPECT_EQ(world.sam->signs, 0U);
}

TEST_F(ApprovalsTest, SaysInItsMetadataWhatItOffers) {
  const auto about = must(json::parse(world.send("GET", "/.well-known/oauth-authorization-server", "", "").body));
  EXPECT_EQ(about.at("issuer"), World::base_url);
  EXPECT_EQ(about.at("code_challenge_methods_supported"), json::Value::array({"S256"}));
  EXPECT_EQ(about.at("authorization_response_iss_parameter_supported"), true);
  for (const auto* name : {"authorization_endpoint", "jwks_uri"}) {
    const auto address = about.at(name).get<std::string>();
    ASSERT_TRUE(address.starts_with(World::base_url));
    EXPECT_NE(world.send("GET", address.substr(std::string(World::base_url).size()), "", "").status, 501U) << address;
  }
}

}  // namespace
}  // namespace intaglio::ssa::signer
