#include "ssa/signer/identity_provider.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "json/json.h"
#include "oauth/form.h"
#include "oauth/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using oauth::test::must;

class IdentityProviderTest : public testing::Test {
 protected:
  IdentityProviderTest() {
    config.issuer = "https://id.example";
    config.authorization_endpoint = "https://id.example/auth";
    config.token_endpoint = "https://id.example/token";
    config.client_id = "the client";
    config.redirect_uri = "https://sign.example/approve";
  }
  [[nodiscard]] IdentityProvider with(ClientProof proof) {
    return {config, std::move(proof),
            [this](std::string_view url, const outbound::HttpHeaders& values, const outbound::HttpHeaders& headers) {
              asked = url;
              form.insert(values.begin(), values.end());
              header.insert(headers.begin(), headers.end());
              return answer;
            },
            clock};
  }
  [[nodiscard]] IdentityProvider with_key() { return with(ClientKey{key, "kid-1", "https://id.example"}); }
  [[nodiscard]] static std::string token(const json::Value& claims) {
    return "e30." + encode_base64url(as_bytes(json::encode(claims))) + ".c2lnbmF0dXJl";
  }
  [[nodiscard]] json::Value claims() const { return {{"iss", config.issuer}, {"aud", config.client_id}, {"nonce", "the-nonce"}}; }
  void answer_with(const std::string& id_token) {
    answer = outbound::HttpAnswer{200, "application/json", json::encode({{"access_token", "x"}, {"id_token", id_token}})};
  }

  IdentityProviderConfig config;
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(oauth::test::test_start);
  std::shared_ptr<crypto::SoftwareKey> key = must(crypto::SoftwareKey::generate());
  Result<outbound::HttpAnswer> answer = Error{ErrorCode::busy, "nobody answers"};
  std::string asked;
  std::map<std::string, std::string> form, header;
};

TEST_F(IdentityProviderTest, AsksForACodeWithAChallengeAndForASignInAnew) {
  config.acr_values = {"high", "substantial"};
  const auto address = with_key().address("the state", "the-nonce", "verifier");
  ASSERT_TRUE(address.starts_with("https://id.example/auth?response_type=code&"));
  const auto query = must(oauth::Form::parse(address.substr(address.find('?') + 1)));
  const std::map<std::string, std::string> expected{{"client_id", "the client"},
                                                    {"redirect_uri", "https://sign.example/approve"},
                                                    {"scope", "openid"},
                                                    {"state", "the state"},
                                                    {"nonce", "the-nonce"},
                                                    {"code_challenge", encode_base64url(crypto::sha256(as_bytes("verifier")))},
                                                    {"code_challenge_method", "S256"},
                                                    {"prompt", "login"},
                                                    {"max_age", "0"},
                                                    {"acr_values", "high substantial"}};
  for (const auto& [name, value] : expected) {
    const auto* found = query.find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(*found, value) << name;
  }
}

TEST_F(IdentityProviderTest, KeepsTheQueryOfItsAddress) {
  config.authorization_endpoint = "https://id.example/auth?tenant=1";
  EXPECT_TRUE(with_key().address("s", "n", "v").starts_with("https://id.example/auth?tenant=1&response_type=code&"));
}

TEST_F(IdentityProviderTest, ProvesItselfByAnAssertionOfItsKey) {
  answer_with(token(claims()));
  const auto given = must(with_key().redeem("the code", "verifier", "the-nonce"));
  EXPECT_EQ(as_text(given.reveal()), token(claims()));
  EXPECT_EQ(asked, "https://id.example/token");
  EXPECT_EQ(form.at("grant_type"), "authorization_code");
  EXPECT_EQ(form.at("code"), "the code");
  EXPECT_EQ(form.at("code_verifier"), "verifier");
  EXPECT_EQ(form.at("redirect_uri"), config.redirect_uri);
  EXPECT_EQ(form.at("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  EXPECT_FALSE(header.contains("Authorization"));
  EXPECT_EQ(must(crypto::peek_jws_header(form.at("client_assertion"))).kid, "kid-1");
  const auto said = must(json::parse(must(crypto::verify_jws(form.at("client_assertion"), "JWT", key->public_key()))));
  EXPECT_EQ(said.at("iss"), "the client");
  EXPECT_EQ(said.at("sub"), "the client");
  EXPECT_EQ(said.at("aud"), "https://id.example");
  EXPECT_EQ(said.at("exp").get<std::int64_t>() - said.at("iat").get<std::int64_t>(), 60);
}

TEST_F(IdentityProviderTest, ProvesItselfByItsSecretInTheHeaderAlone) {
  answer_with(token(claims()));
  must(with(ClientSecret{Secret(as_bytes("a+secret"))}).redeem("the code", "verifier", "the-nonce"));
  EXPECT_EQ(header.at("Authorization"), "Basic " + encode_base64(as_bytes("the%20client:a%2Bsecret")));
  for (const auto* name : {"client_id", "client_secret", "client_assertion"}) EXPECT_FALSE(form.contains(name)) << name;
}

TEST_F(IdentityProviderTest, TakesATokenForOneOfSeveralAudiencesAsTheSamWillDecide) {
  auto several = claims();
  several["aud"] = {"other", config.client_id};
  answer_with(token(several));
  EXPECT_TRUE(with_key().redeem("c", "v", "the-nonce"));
}

TEST_F(IdentityProviderTest, RefusesATokenThatTheSamWouldRefuse) {
  const auto changed = [&](const char* name, const json::Value& value) {
    auto one = claims();
    one[name] = value;
    return token(one);
  };
  auto long_one = claims();
  long_one["more"] = std::string(16384, 'x');
  const std::map<std::string, std::string> wrong{{"another issuer", changed("iss", "https://evil.example")},
                                                 {"another client", changed("aud", "other")},
                                                 {"other clients", changed("aud", {"other", "another"})},
                                                 {"no client", changed("aud", nullptr)},
                                                 {"a number for a client", changed("aud", 7)},
                                                 {"another nonce", changed("nonce", "another")},
                                                 {"no nonce", changed("nonce", nullptr)},
                                                 {"a list of nonces", changed("nonce", {"the-nonce"})},
                                                 {"no JWS", "e30"},
                                                 {"two parts", "e30.e30"},
                                                 {"no base64url", "e30.e30=.x"},
                                                 {"no claims", token(json::Value::array())},
                                                 {"nothing", ""},
                                                 {"more than a message holds", token(long_one)}};
  for (const auto& [what, id_token] : wrong) {
    answer_with(id_token);
    const auto given = with_key().redeem("c", "v", "the-nonce");
    ASSERT_FALSE(given) << what;
    EXPECT_EQ(given.error().code, ErrorCode::not_authorised) << what;
  }
}

TEST_F(IdentityProviderTest, RefusesATokenOfAnotherIssuerOrForAnotherClient) {
  for (const auto* name : {"iss", "aud"}) {
    auto one = claims();
    one[name] = "https://evil.example";
    answer_with(token(one));
    EXPECT_FALSE(with_key().redeem("c", "v", "the-nonce")) << name;
  }
}

TEST_F(IdentityProviderTest, RefusesATokenThatAnswersForSomethingElse) {
  answer_with(token(claims()));
  EXPECT_FALSE(with_key().redeem("c", "v", "another-nonce"));
  EXPECT_TRUE(with_key().redeem("c", "v", "the-nonce"));
}

TEST_F(IdentityProviderTest, TellsARefusalFromAProviderThatDoesNotAnswer) {
  const std::vector<std::pair<Result<outbound::HttpAnswer>, ErrorCode>> answers{
      {outbound::HttpAnswer{400, "application/json", R"({"error":"invalid_grant"})"}, ErrorCode::not_authorised},
      {outbound::HttpAnswer{302, "", ""}, ErrorCode::not_authorised},
      {outbound::HttpAnswer{200, "text/html", "<html>"}, ErrorCode::not_authorised},
      {outbound::HttpAnswer{200, "application/json", "[]"}, ErrorCode::not_authorised},
      {outbound::HttpAnswer{200, "application/json", R"({"id_token":7})"}, ErrorCode::not_authorised},
      {outbound::HttpAnswer{503, "", ""}, ErrorCode::busy},
      {Error{ErrorCode::internal, "outcome unknown"}, ErrorCode::busy}};
  for (const auto& [given, code] : answers) {
    answer = given;
    const auto refused = with_key().redeem("c", "v", "the-nonce");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, code) << refused.error().detail;
  }
}

TEST_F(IdentityProviderTest, TakesAnswersToTheBrowserOfItsIssuerAlone) {
  EXPECT_TRUE(with_key().check_issuer("https://id.example"));
  EXPECT_FALSE(with_key().check_issuer("https://evil.example"));
  EXPECT_FALSE(with_key().check_issuer("https://id.example/"));
  EXPECT_FALSE(with_key().check_issuer(std::nullopt));
  config.answers_name_issuer = false;
  EXPECT_TRUE(with_key().check_issuer(std::nullopt));
  EXPECT_FALSE(with_key().check_issuer("https://evil.example"));
}

}  // namespace
}  // namespace intaglio::ssa::signer
