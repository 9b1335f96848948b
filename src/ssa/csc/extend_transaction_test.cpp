#include "ssa/csc/extend_transaction.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::digest_of;
using test::must;
using test::World;

class Extending : public testing::Test {
 protected:
  [[nodiscard]] static json::Value body(const std::string& sad, const json::Value& more = json::Value::object()) {
    json::Value made{{"credentialID", "alice-rsa"}, {"SAD", sad}};
    made.merge_patch(more);
    return made;
  }
  [[nodiscard]] http::Response extend(const json::Value& asked, std::string_view client = "any") const {
    return world.post("/csc/v2/credentials/extendTransaction", asked, client);
  }
  [[nodiscard]] std::string extended(const json::Value& asked) const {
    const auto answer = extend(asked);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto told = must(json::parse(answer.body));
    EXPECT_EQ(told.at("expiresIn"), 60);
    return told.at("SAD").get<std::string>();
  }
  static void expect_refused(const http::Response& answer, const std::string& description, unsigned status = 400,
                             const std::string& error = "invalid_request") {
    EXPECT_EQ(answer.status, status) << answer.body;
    const auto told = must(json::parse(answer.body));
    EXPECT_EQ(told.at("error"), error);
    EXPECT_EQ(told.at("error_description"), description);
  }
  [[nodiscard]] static json::Value hashes(const std::vector<std::string>& texts) {
    auto array = json::Value::array();
    for (const auto& text : texts) array.push_back(encode_base64(digest_of(text)));
    return array;
  }

  World world;
};

TEST_F(Extending, GivesASadThatSignsWhatIsLeft) {
  const auto first = world.sad("alice-rsa", {"a", "b", "c"});
  EXPECT_EQ(world.sign("alice-rsa", first, {"a"}).status, 200U);
  world.clock->advance(std::chrono::seconds{50});
  const auto second = extended(body(first, {{"hashes", hashes({"b", "c"})}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}}));
  ASSERT_TRUE(world.sam->last_extension);
  EXPECT_EQ(world.sam->last_extension->digests, (std::vector<Bytes>{digest_of("b"), digest_of("c")}));
  EXPECT_EQ(world.sam->last_extension->client_id, "any");
  EXPECT_EQ(world.sam->last_extension->client_address, "192.0.2.1");
  world.clock->advance(std::chrono::seconds{50});
  EXPECT_EQ(world.sign("alice-rsa", second, {"c", "b"}).status, 200U);
}

TEST_F(Extending, RemembersWhatWasDeliveredUnderTheSadBefore) {
  const auto first = world.sad("alice-rsa", {"a", "b"});
  EXPECT_EQ(world.sign("alice-rsa", first, {"a"}).status, 200U);
  const auto second = extended(body(first));
  expect_refused(world.sign("alice-rsa", second, {"a"}), "Hash is not authorized by the SAD.");
  EXPECT_EQ(world.sign("alice-rsa", second, {"b"}).status, 200U);
  expect_refused(extend(body(second)), "Invalid parameter SAD");
  EXPECT_EQ(world.sam->extensions, 1U);
}

TEST_F(Extending, TakesNullsAndUnknownMembersForAbsent) {
  const auto sad = world.sad("alice-rsa", {"a"});
  (void)extended(body(sad, {{"more", 1}, {"clientData", "text"}}));
  auto asked = body(sad);
  asked["hashes"] = nullptr;
  asked["hashAlgorithmOID"] = nullptr;
  (void)extended(asked);
}

TEST_F(Extending, RefusesInTheWordsOfTheStandardAndTheSamIsNotAsked) {
  const auto sad = world.sad("alice-rsa", {"a", "b"});
  struct Case {
    const char* what;
    json::Value change;
    const char* description;
  };
  const std::string one = encode_base64(digest_of("a"));
  const std::vector<Case> cases = {
      {"no credentialID", {{"credentialID", nullptr}}, "Missing (or invalid type) string parameter credentialID"},
      {"credentialID is a number", {{"credentialID", 5}}, "Missing (or invalid type) string parameter credentialID"},
      {"no id at all", {{"credentialID", "a b"}}, "Invalid parameter credentialID"},
      {"another credential of the signer", {{"credentialID", "alice-ec"}}, "Invalid parameter credentialID"},
      {"an unknown credential", {{"credentialID", "nobody-1"}}, "Invalid parameter credentialID"},
      {"no SAD", {{"SAD", nullptr}}, "Missing (or invalid type) string parameter SAD"},
      {"SAD is a list", {{"SAD", json::Value::array({sad})}}, "Missing (or invalid type) string parameter SAD"},
      {"SAD is empty", {{"SAD", ""}}, "Invalid parameter SAD"},
      {"SAD is no JWS", {{"SAD", "secret"}}, "Invalid parameter SAD"},
      {"an access token in its place", {{"SAD", world.token("any", "credential")}}, "Invalid parameter SAD"},
      {"hashes is a text", {{"hashes", one}}, "Missing (or invalid type) array parameter hash"},
      {"hashes holds a number", {{"hashes", json::Value::array({5})}}, "Missing (or invalid type) array parameter hash"},
      {"hashes is empty", {{"hashes", json::Value::array()}}, "Empty hash array"},
      {"a digest that is too short", {{"hashes", json::Value::array({"AAAA"})}}, "Invalid digest value length"},
      {"a digest that is not base64", {{"hashes", json::Value::array({"*" + one.substr(1)})}}, "Invalid Base64 hash string parameter"},
      {"a digest that was not approved", {{"hashes", hashes({"c"})}}, "Hash is not authorized by the SAD."},
      {"a digest more often than it was approved", {{"hashes", hashes({"a", "a"})}}, "Hash is not authorized by the SAD."},
      {"another hash algorithm", {{"hashes", hashes({"a"})}, {"hashAlgorithmOID", "1.2.3"}}, "Invalid parameter hashAlgorithmOID"},
      {"hashAlgorithmOID is a number", {{"hashes", hashes({"a"})}, {"hashAlgorithmOID", 5}}, "Invalid parameter hashAlgorithmOID"},
      {"a digest of another length than its algorithm's",
       {{"hashes", hashes({"a"})}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.3"}},
       "Invalid digest value length"},
      {"clientData is an object", {{"clientData", {{"a", 1}}}}, "Invalid parameter clientData"},
  };
  for (const auto& one_case : cases) {
    SCOPED_TRACE(one_case.what);
    expect_refused(extend(body(sad, one_case.change)), one_case.description);
  }
  expect_refused(extend(body(sad), "waiting"), "Invalid parameter SAD");
  world.clock->advance(std::chrono::seconds{60});
  expect_refused(extend(body(sad)), "SAD expired");
  EXPECT_EQ(world.sam->extensions, 0U);
}

TEST_F(Extending, ASadOfOneSignerWithAnAccessTokenOfAnotherIsRefused) {
  const auto sad = world.sad("alice-rsa", {"a"});
  const auto with = [&](const std::string& signer) {
    return world.send("POST", "/csc/v2/credentials/extendTransaction", json::encode(body(sad)), "Bearer " + world.token_of(signer));
  };
  expect_refused(with("bob"), "Invalid parameter SAD");
  EXPECT_EQ(world.sam->extensions, 0U);
  EXPECT_EQ(with("alice").status, 200U);
}

TEST_F(Extending, RefusesAnInactiveCredentialBeforeTheSamIsAsked) {
  const auto sad = world.sad("alice-rsa", {"a"});
  world.sam->facts("alice-rsa").state = protocol::KeyState::destroyed;
  world.service->credential_changed(must(KeyId::parse("alice-rsa")));
  expect_refused(extend(body(sad)), "The credential identified by credentialID is disabled");
  world.sam->facts("alice-rsa").state = protocol::KeyState::assigned;
  world.sam->facts("alice-rsa").certificate_revoked = true;
  world.service->credential_changed(must(KeyId::parse("alice-rsa")));
  expect_refused(extend(body(sad)), "Invalid certificate status");
  EXPECT_EQ(world.sam->extensions, 0U);
}

TEST_F(Extending, TellsWhatTheSamRefuses) {
  const auto sad = world.sad("alice-rsa", {"a"});
  world.sam->failure = Error{ErrorCode::unsupported, ""};
  expect_refused(extend(body(sad)), "The SAD of this credential is for one signature and is not extended");
  world.sam->failure = Error{ErrorCode::busy, ""};
  expect_refused(extend(body(sad)), "The service is temporarily unavailable", 503, "temporarily_unavailable");
  world.sam->failure = Error{ErrorCode::sad_invalid, ""};
  expect_refused(extend(body(sad)), "Invalid parameter SAD");
}

TEST_F(Extending, ASadOfAnotherAuthorisationIsNotPassedOn) {
  const auto sad = world.sad("alice-rsa", {"a"});
  for (const auto* claim : {"jti", "sub", "key"}) {
    world.sam->change_sad = [&](json::Value& claims) { claims[claim] = "another"; };
    expect_refused(extend(body(sad)), "The service met an unexpected condition", 500, "server_error");
  }
  world.sam->change_sad = [](json::Value& claims) { claims["n"] = 2; };
  expect_refused(extend(body(sad)), "The service met an unexpected condition", 500, "server_error");
}

TEST_F(Extending, NeedsAnAccessToken) {
  const auto answer = world.send("POST", "/csc/v2/credentials/extendTransaction", "{}", "");
  expect_refused(answer, "Malformed authorization header.");
}

TEST_F(Extending, Version1CallsTheDigestsHash) {
  const auto sad = world.sad("alice-rsa", {"a", "b"});
  const auto answer = world.post("/csc/v1/credentials/extendTransaction", body(sad, {{"hash", hashes({"b"})}}));
  EXPECT_EQ(answer.status, 200U) << answer.body;
  EXPECT_EQ(world.sam->last_extension->digests, std::vector<Bytes>{digest_of("b")});
  expect_refused(world.post("/csc/v1/credentials/extendTransaction", body(sad, {{"hash", hashes({"c"})}})),
                 "Hash is not authorized by the SAD.");
}

}  // namespace
}  // namespace intaglio::ssa::csc
