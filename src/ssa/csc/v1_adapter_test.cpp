#include "ssa/csc/v1_adapter.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;

class V1AdapterTest : public testing::Test {
 protected:
  [[nodiscard]] json::Value ask(const std::string& path, const json::Value& body, std::string_view client = "any") const {
    const auto answer = world.post(path, body, client);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body));
  }
  void expect_refused(const http::Response& answer, std::string_view description) const {
    EXPECT_EQ(answer.status, 400U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("error"), "invalid_request");
    EXPECT_EQ(body.at("error_description"), description);
  }
  [[nodiscard]] static json::Value signing(const std::string& sad, const std::vector<std::string>& texts) {
    auto body = test::World::sign_body("alice-rsa", sad, texts);
    body["hash"] = body.at("hashes");
    body.erase("hashes");
    return body;
  }
  test::World world;
};

TEST_F(V1AdapterTest, InfoSpeaksOfVersion1AndIsGottenToo) {
  for (const auto* method : {"GET", "POST"}) {
    const auto body = must(json::parse(world.send(method, "/csc/v1/info", "", "").body));
    EXPECT_EQ(body.at("specs"), "1.0.3.0");
    EXPECT_EQ(body.at("authType"), json::Value::array({"oauth2client", "oauth2code"}));
    EXPECT_EQ(body.at("oauth2"), "https://sign.example/csc/v2");
    EXPECT_EQ(body.at("methods"),
              json::Value::array({"info", "credentials/list", "credentials/info", "credentials/extendTransaction", "signatures/signHash"}));
    EXPECT_FALSE(body.contains("signAlgorithms"));
  }
}

TEST_F(V1AdapterTest, ListsInPages) {
  const auto list = [&](json::Value changes) {
    changes["userID"] = "alice";
    return ask("/csc/v1/credentials/list", changes);
  };
  EXPECT_EQ(list({{"credentialInfo", true}}), (json::Value{{"credentialIDs", {"alice-rsa", "alice-ec"}}}));
  const auto first = list({{"maxResults", 1}});
  EXPECT_EQ(first.at("credentialIDs"), json::Value::array({"alice-rsa"}));
  const auto last = list({{"maxResults", 1}, {"pageToken", first.at("nextPageToken")}});
  EXPECT_EQ(last, (json::Value{{"credentialIDs", json::Value::array({"alice-ec"})}}));
  for (const auto& size : {json::Value(0), json::Value(101), json::Value(-1), json::Value("1")}) {
    EXPECT_EQ(list({{"maxResults", size}}).at("credentialIDs").size(), 2U);
  }
  for (const auto* token : {"bob-ec", "x", ""}) {
    expect_refused(world.post("/csc/v1/credentials/list", {{"userID", "alice"}, {"pageToken", token}}), "Invalid parameter pageToken");
  }
  expect_refused(world.post("/csc/v1/credentials/list", {{"userID", "alice"}, {"pageToken", 5}}), "Invalid parameter pageToken");
  expect_refused(world.post("/csc/v1/credentials/list", {{"userID", "bob"}}, "only-alice"), "Invalid parameter userID");
}

TEST_F(V1AdapterTest, DescribesACredentialAsVersion1Does) {
  const auto body =
      ask("/csc/v1/credentials/info", {{"credentialID", "alice-rsa"}, {"certificates", "chain"}, {"certInfo", true}}, "waiting");
  EXPECT_EQ(body.at("authMode"), "oauth2code");
  EXPECT_FALSE(body.contains("auth"));
  EXPECT_FALSE(body.contains("PIN"));
  EXPECT_EQ(body.at("SCAL"), "2");
  EXPECT_EQ(body.at("multisign"), 100);
  EXPECT_EQ(body.at("cert").at("certificates").size(), 1U);
  EXPECT_TRUE(body.at("cert").contains("subjectDN"));
  expect_refused(world.post("/csc/v1/credentials/info", json::Value::object()), "Missing (or invalid type) string parameter credentialID");
  expect_refused(world.post("/csc/v1/credentials/info", {{"credentialID", "bob-ec"}}, "only-alice"), "Invalid parameter credentialID");
}

TEST_F(V1AdapterTest, SignsUnderTheNamesOfVersion1) {
  auto body = signing(world.sad("alice-rsa", {"one", "two"}), {"two"});
  body["hashAlgo"] = "2.16.840.1.101.3.4.2.1";
  body["operationMode"] = "unknown to version 1";
  const auto answer = ask("/csc/v1/signatures/signHash", body);
  EXPECT_EQ(answer.at("signatures"), json::Value::array({encode_base64(test::FakeSam::signature_of("alice-rsa", test::digest_of("two")))}));
  body = signing(body.at("SAD"), {"one"});
  body["signAlgo"] = "1.2.840.113549.1.1.1";
  expect_refused(world.post("/csc/v1/signatures/signHash", body), "Missing (or invalid type) string parameter hashAlgo");
  body["hashAlgo"] = "1.2.3";
  expect_refused(world.post("/csc/v1/signatures/signHash", body), "Invalid parameter hashAlgo");
  body["hashAlgo"] = "2.16.840.1.101.3.4.2.1";
  EXPECT_EQ(world.post("/csc/v1/signatures/signHash", body).status, 200U);
}

TEST_F(V1AdapterTest, RefusesInTheSameWordsAsVersion2) {
  const auto sad = world.sad("alice-rsa", {"one"});
  const auto changed = [&](const char* name, const json::Value& value) {
    auto body = signing(sad, {"one"});
    body[name] = value;
    return world.post("/csc/v1/signatures/signHash", body);
  };
  expect_refused(changed("SAD", nullptr), "Missing (or invalid type) string parameter SAD");
  expect_refused(changed("SAD", "x.y.z"), "Invalid parameter SAD");
  expect_refused(changed("credentialID", nullptr), "Missing (or invalid type) string parameter credentialID");
  expect_refused(changed("hash", nullptr), "Missing (or invalid type) array parameter hash");
  expect_refused(changed("hash", json::Value::array()), "Empty hash array");
  expect_refused(changed("hash", json::Value::array({"AAAA"})), "Invalid digest value length");
  expect_refused(changed("hash", json::Value::array({encode_base64(test::digest_of("two"))})), "Hash is not authorized by the SAD.");
  expect_refused(changed("signAlgo", nullptr), "Missing (or invalid type) string parameter signAlgo");
  expect_refused(changed("signAlgo", "1.2.3"), "Invalid parameter signAlgo");
  expect_refused(changed("clientData", 5), "Invalid parameter clientData");
  // The names of version 2 are unknown here.
  auto body = signing(sad, {"one"});
  body["hashes"] = body.at("hash");
  body.erase("hash");
  expect_refused(world.post("/csc/v1/signatures/signHash", body), "Missing (or invalid type) array parameter hash");
  EXPECT_EQ(world.sam->signs, 0U);
  EXPECT_EQ(world.send("POST", "/csc/v1/signatures/signHash", "[]", "Bearer " + world.token()).status, 400U);
}

TEST_F(V1AdapterTest, AuthorizesNothingByItselfAndSendsNoPassword) {
  const auto authorize = [&](const json::Value& body, std::string_view client) {
    return world.post("/csc/v1/credentials/authorize", body, client);
  };
  for (const auto* client : {"any", "waiting"}) {
    expect_refused(authorize({{"credentialID", "alice-rsa"}, {"numSignatures", 1}, {"PIN", "CANARY"}}, client),
                   "The credential is not authorized by credentials/authorize: its auth/mode is oauth2code");
  }
  expect_refused(authorize({{"credentialID", "nobody"}, {"numSignatures", 1}}, "any"), "Invalid parameter credentialID");
  expect_refused(authorize({{"credentialID", "alice-rsa"}}, "any"), "Missing (or invalid type) integer parameter numSignatures");
  expect_refused(authorize({{"credentialID", "alice-rsa"}, {"numSignatures", 0}}, "any"), "Invalid value for parameter numSignatures");
  expect_refused(authorize({{"credentialID", "alice-rsa"}, {"numSignatures", 101}}, "any"), "Numbers of signatures is too high");
  const auto otp = [&](const json::Value& body) { return world.post("/csc/v1/credentials/sendOTP", body); };
  expect_refused(otp(json::Value::object()), "Missing (or invalid type) string parameter credentialID");
  expect_refused(otp({{"credentialID", "nobody"}}), "Invalid parameter credentialID");
  expect_refused(otp({{"credentialID", "alice-rsa"}}), "Invalid parameter credentialID");
}

TEST_F(V1AdapterTest, AsksForATokenAndKnowsNoOtherMethod) {
  for (const auto* path : {"credentials/list", "credentials/info", "credentials/authorize", "credentials/extendTransaction",
                           "credentials/sendOTP", "signatures/signHash"}) {
    EXPECT_EQ(world.send("POST", std::string("/csc/v1/") + path, "{}", "").status, 400U) << path;
    EXPECT_EQ(world.send("POST", std::string("/csc/v1/") + path, "{}", "Bearer x").status, 401U) << path;
  }
  for (const auto* path : {"credentials/getChallenge", "signatures/timestamp", "signatures/signDoc"}) {
    EXPECT_EQ(world.send("POST", std::string("/csc/v1/") + path, "{}", "").status, 501U) << path;
  }
}

}  // namespace
}  // namespace intaglio::ssa::csc
