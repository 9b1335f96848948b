#include "ssa/signer/identity_login.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using oauth::test::must;
using test::digest_of;
using test::World;

class IdentityLoginTest : public testing::Test {
 protected:
  IdentityLoginTest() {
    IdentityProviderConfig config;
    config.issuer = "https://id.example";
    config.authorization_endpoint = "https://id.example/auth";
    config.token_endpoint = "https://id.example/token";
    config.client_id = "intaglio";
    config.redirect_uri = "https://sign.example/approve";
    world.identity_provider = std::make_shared<const IdentityProvider>(
        config, ClientSecret{Secret(as_bytes("secret"))},
        [this](std::string_view, const outbound::HttpHeaders& values, const outbound::HttpHeaders&) {
          std::map<std::string, std::string> form;
          for (const auto& [name, value] : values) form[name] = value;
          forms.push_back(form);
          if (meanwhile) meanwhile();
          return provider_answer();
        },
        world.clock);
    world.start();
  }

  [[nodiscard]] Result<outbound::HttpAnswer> provider_answer() const {
    if (failure) return *failure;
    const json::Value claims{{"iss", "https://id.example"}, {"aud", "intaglio"}, {"nonce", said}};
    const auto token = "e30." + encode_base64url(as_bytes(json::encode(claims))) + ".c2ln";
    return outbound::HttpAnswer{200, "application/json", json::encode({{"id_token", token}})};
  }
  /// A page before which a document of this text is.
  [[nodiscard]] World::Page page(const std::string& text) const {
    json::Value body{{"credentialID", "alice-rsa"},
                     {"numSignatures", 1},
                     {"hashes", {encode_base64(digest_of(text))}},
                     {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}};
    const auto answer = world.post("/csc/v2/credentials/authorize", body, "waiting");
    EXPECT_EQ(answer.status, 202U) << answer.body;
    const auto address = must(json::parse(answer.body)).at("approvalUri").get<std::string>();
    return world.page(address.substr(address.find('#') + 1));
  }
  struct Away {
    std::string handle, state, challenge;
  };
  [[nodiscard]] http::Response begin(const World::Page& shown, const std::string& nonce) const {
    return world.send("POST", "/sic/v1/approvals/logins", json::encode({{"nonce", nonce}}), "Bearer " + shown.bearer);
  }
  [[nodiscard]] Away leave(const World::Page& shown) const {
    const auto answer = begin(shown, said);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    const auto address = body.at("address").get<std::string>();
    const auto query = must(oauth::Form::parse(address.substr(address.find('?') + 1)));
    EXPECT_EQ(*query.find("nonce"), said);
    return {body.at("handle").get<std::string>(), *query.find("state"), *query.find("code_challenge")};
  }
  [[nodiscard]] http::Response finish(const World::Page& shown, const std::string& handle, const std::string& state,
                                      const std::string& issuer = "https://id.example", const std::string& code = "the-code") const {
    json::Value body{{"handle", handle}, {"state", state}, {"code", code}, {"issuer", issuer}};
    if (issuer.empty()) body.erase("issuer");
    return world.send("POST", "/sic/v1/approvals/logins/codes", json::encode(body), "Bearer " + shown.bearer);
  }
  [[nodiscard]] static std::string description(const http::Response& answer) {
    return must(json::parse(answer.body)).at("error_description").get<std::string>();
  }

  World world;
  std::string said = encode_base64url(digest_of("what was shown"));
  std::vector<std::map<std::string, std::string>> forms;
  std::optional<Error> failure;
  std::function<void()> meanwhile;
};

TEST_F(IdentityLoginTest, GivesTheTokenForTheCodeToThePageThatCameBack) {
  const auto before = page("one");
  const auto away = leave(before);
  EXPECT_EQ(begin(before, said).status, 401U) << "the bearer of before has ended";
  const auto after = world.page(away.handle);
  EXPECT_EQ(after.transaction.nonce, before.transaction.nonce);
  const auto answer = finish(after, away.handle, away.state);
  ASSERT_EQ(answer.status, 200U) << answer.body;
  EXPECT_EQ(must(json::parse(answer.body)).at("idToken").get<std::string>().substr(0, 4), "e30.");
  ASSERT_EQ(forms.size(), 1U);
  EXPECT_EQ(forms.front().at("code"), "the-code");
  EXPECT_EQ(encode_base64url(crypto::sha256(as_bytes(forms.front().at("code_verifier")))), away.challenge);
  EXPECT_EQ(world.approve(after).status, 200U);
}

TEST_F(IdentityLoginTest, SendsACodeOnceWhateverComesOfIt) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  failure = Error{ErrorCode::busy, "nobody answers"};
  EXPECT_EQ(finish(after, away.handle, away.state).status, 503U);
  failure.reset();
  EXPECT_EQ(description(finish(after, away.handle, away.state)), "Invalid parameter state");
  EXPECT_EQ(forms.size(), 1U);
  EXPECT_EQ(world.approve(after).status, 200U) << "the approval itself goes on";
}

TEST_F(IdentityLoginTest, TakesNoOtherStateThanTheOneThatWasSent) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  for (const auto& state : {std::string("x"), away.state + "x", away.handle}) {
    EXPECT_EQ(description(finish(after, away.handle, state)), "Invalid parameter state");
  }
  EXPECT_TRUE(forms.empty());
  EXPECT_EQ(finish(after, away.handle, away.state).status, 200U);
}

TEST_F(IdentityLoginTest, TakesNoCodeFromABrowserWithoutTheHandleThatLeft) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  for (const auto& handle : {std::string("x"), away.state, away.handle + "x"}) {
    EXPECT_EQ(description(finish(after, handle, away.state)), "Invalid parameter state");
  }
  EXPECT_TRUE(forms.empty());
  EXPECT_EQ(finish(after, away.handle, away.state).status, 200U);
}

TEST_F(IdentityLoginTest, TakesNoSignInOfAnotherApproval) {
  const auto one = leave(page("one"));
  const auto two = leave(page("two"));
  const auto after = world.page(two.handle);
  EXPECT_EQ(description(finish(after, one.handle, one.state)), "Invalid parameter state");
  EXPECT_EQ(description(finish(page("three"), one.handle, one.state)), "Invalid parameter state");
  EXPECT_TRUE(forms.empty());
}

TEST_F(IdentityLoginTest, TheLastSignInOfAnApprovalCounts) {
  const auto first = leave(page("one"));
  const auto second = leave(world.page(first.handle));
  const auto after = world.page(second.handle);
  EXPECT_EQ(description(finish(after, first.handle, first.state)), "Invalid parameter state");
  EXPECT_EQ(finish(after, second.handle, second.state).status, 200U);
}

TEST_F(IdentityLoginTest, TakesNoAnswerOfAnotherIssuer) {
  for (const auto* issuer : {"https://evil.example", ""}) {
    const auto away = leave(page("one"));
    const auto after = world.page(away.handle);
    EXPECT_EQ(description(finish(after, away.handle, away.state, issuer)), "The identity provider did not confirm the sign-in") << issuer;
  }
  EXPECT_TRUE(forms.empty());
}

TEST_F(IdentityLoginTest, GivesNoTokenThatAnswersForSomethingElse) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  said = encode_base64url(digest_of("something else"));
  const auto answer = finish(after, away.handle, away.state);
  EXPECT_EQ(description(answer), "The identity provider did not confirm the sign-in");
  EXPECT_EQ(answer.body.find("e30."), std::string::npos);
}

TEST_F(IdentityLoginTest, EndsWithTheTransaction) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  const auto other = leave(page("two"));
  world.clock->advance(std::chrono::seconds{301});
  EXPECT_EQ(finish(after, away.handle, away.state).status, 401U);
  json::Value body = json::Value::object();
  body["handle"] = other.handle;
  EXPECT_EQ(world.send("POST", "/sic/v1/approvals", json::encode(body), "").status, 400U);
  EXPECT_TRUE(forms.empty());
}

TEST_F(IdentityLoginTest, IsBegunForADigestAndByThePageAlone) {
  const auto shown = page("one");
  for (const auto& nonce : {std::string(), std::string("x"), said + "A", said + "=", encode_base64url(as_bytes("too short"))}) {
    EXPECT_EQ(description(begin(shown, nonce)), "Invalid parameter nonce") << nonce;
  }
  EXPECT_EQ(world.send("POST", "/sic/v1/approvals/logins", json::encode({{"nonce", said}}), "").status, 400U);
  EXPECT_EQ(world.post("/sic/v1/approvals/logins", {{"nonce", said}}, "any").status, 401U);
  EXPECT_EQ(world.post("/sic/v1/approvals/logins/codes", {{"nonce", said}}, "any").status, 401U);
}

TEST_F(IdentityLoginTest, ADocumentOfThePageGoesNowhere) {
  const auto link = world.post("/sic/v1/documents", {{"credentialID", "alice-ec"}}, "any");
  const auto address = must(json::parse(link.body)).at("page").get<std::string>();
  json::Value body = json::Value::object();
  body["handle"] = address.substr(address.find('#') + 1);
  const auto exchanged = must(json::parse(world.send("POST", "/sic/v1/documents/handles", json::encode(body), "").body));
  World::Page shown{exchanged.at("bearer").get<std::string>(), {}};
  EXPECT_EQ(description(begin(shown, said)), "The bearer is not for this method");
}

TEST_F(IdentityLoginTest, RefusesACodeThatIsNone) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  for (const auto& code : {std::string(), std::string(4097, 'c')}) {
    EXPECT_EQ(description(finish(after, away.handle, away.state, "https://id.example", code)), "Invalid parameter code");
  }
  for (const auto* name : {"handle", "state", "code"}) {
    json::Value body{{"handle", away.handle}, {"state", away.state}, {"code", "c"}, {"issuer", "https://id.example"}};
    body.erase(name);
    EXPECT_EQ(world.send("POST", "/sic/v1/approvals/logins/codes", json::encode(body), "Bearer " + after.bearer).status, 400U) << name;
  }
  EXPECT_TRUE(forms.empty());
}

TEST_F(IdentityLoginTest, WhatTheDatabaseHoldsRedeemsNoCode) {
  const auto away = leave(page("one"));
  const auto after = world.page(away.handle);
  std::string held;
  const auto read = world.database.get()->read([&](storage::Reader& reader) -> Status {
    return reader.query("SELECT approval, handle, state, nonce FROM ssa_identity_logins", {}, [&](const storage::Row& row) {
      for (int column = 0; column < 3; ++column) held += encode_base64url(row.bytes(column)) + " ";
      held += row.text(3);
      return true;
    });
  });
  ASSERT_TRUE(read);
  ASSERT_EQ(finish(after, away.handle, away.state).status, 200U);
  for (const auto& secret : {away.handle, away.state, forms.front().at("code_verifier")}) {
    EXPECT_EQ(held.find(secret), std::string::npos);
  }
  EXPECT_NE(held.find(said), std::string::npos);
}

TEST_F(IdentityLoginTest, AProviderThatHangsHoldsEightWorkersAndNoMore) {
  unsigned refused = 0;
  meanwhile = [&] {
    if (forms.size() > 8) return;
    const auto away = leave(page("one of " + std::to_string(forms.size())));
    const auto answer = finish(world.page(away.handle), away.handle, away.state);
    if (answer.status == 503) ++refused;
  };
  meanwhile();
  EXPECT_EQ(forms.size(), 8U);
  EXPECT_EQ(refused, 1U);
  meanwhile = nullptr;
  const auto away = leave(page("afterwards"));
  EXPECT_EQ(finish(world.page(away.handle), away.handle, away.state).status, 200U);
}

TEST_F(IdentityLoginTest, IsNotThereWithoutAProvider) {
  world.identity_provider.reset();
  world.start();
  const auto shown = page("one");
  EXPECT_EQ(begin(shown, said).status, 404U);
  EXPECT_EQ(finish(shown, "h", "s").status, 404U);
}

}  // namespace
}  // namespace intaglio::ssa::signer
