#include "ssa/csc/credential_authorization.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;
using test::World;

constexpr const char* authorize = "/csc/v2/credentials/authorize";
constexpr const char* check = "/csc/v2/credentials/authorizeCheck";
constexpr const char* challenge = "/csc/v2/credentials/getChallenge";

class CredentialAuthorizationTest : public testing::Test {
 protected:
  [[nodiscard]] static json::Value asking(const std::string& credential, const std::vector<std::string>& texts) {
    auto hashes = json::Value::array();
    for (const auto& text : texts) hashes.push_back(encode_base64(test::digest_of(text)));
    return {{"credentialID", credential},
            {"numSignatures", texts.size()},
            {"hashes", hashes},
            {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"},
            {"authData", json::Value::array()}};
  }
  struct Awaited {
    std::string handle, page;
  };
  [[nodiscard]] Awaited wait_for(const json::Value& body, std::string_view client = "waiting") const {
    const auto answer = world.post(authorize, body, client);
    EXPECT_EQ(answer.status, 202U) << answer.body;
    const auto told = must(json::parse(answer.body));
    EXPECT_FALSE(told.contains("SAD"));
    EXPECT_EQ(told.at("expiresIn"), 300);
    const auto address = told.at("approvalUri").get<std::string>();
    const std::string page = "https://sign.example/approve#";
    EXPECT_TRUE(address.starts_with(page));
    EXPECT_EQ(address.find(told.at("handle").get<std::string>()), std::string::npos) << "who is shown the page cannot fetch the SAD";
    return {told.at("handle").get<std::string>(), address.substr(page.size())};
  }
  [[nodiscard]] http::Response ask(const std::string& handle, std::string_view client = "waiting") const {
    json::Value body = json::Value::object();
    body["handle"] = handle;
    return world.post(check, body, client);
  }
  void expect_refused(const http::Response& answer, std::string_view description, std::string_view error = "invalid_request") const {
    EXPECT_EQ(answer.status, 400U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("error"), error);
    EXPECT_EQ(body.at("error_description"), description);
  }
  World world;
};

TEST_F(CredentialAuthorizationTest, GivesTheSadOnceTheSignerApprovedOnThePage) {
  const auto awaited = wait_for(asking("alice-rsa", {"one", "two"}));
  const auto pending = ask(awaited.handle);
  EXPECT_EQ(pending.status, 202U);
  EXPECT_EQ(must(json::parse(pending.body)).at("handle"), awaited.handle);
  const auto page = world.page(awaited.page);
  ASSERT_EQ(page.transaction.documents.size(), 2U);
  EXPECT_EQ(page.transaction.documents[1].digest, test::digest_of("two"));
  EXPECT_EQ(page.transaction.documents[1].label, "Document 2");
  EXPECT_EQ(page.transaction.client_id, "waiting");
  const auto approved = world.approve(page);
  ASSERT_EQ(approved.status, 200U) << approved.body;
  EXPECT_EQ(must(json::parse(approved.body)), (json::Value{{"redirect", nullptr}}));

  const auto given = ask(awaited.handle);
  ASSERT_EQ(given.status, 200U) << given.body;
  const auto body = must(json::parse(given.body));
  EXPECT_EQ(body.at("expiresIn"), 60);
  const auto sad = body.at("SAD").get<std::string>();
  EXPECT_EQ(world.sign("alice-rsa", sad, {"two", "one"}, "waiting").status, 200U);
  EXPECT_EQ(must(json::parse(ask(awaited.handle).body)).at("SAD"), sad) << "an answer that was lost is fetched again";
}

TEST_F(CredentialAuthorizationTest, OneApprovalOnThePageMakesOneSad) {
  const auto page = world.page(wait_for(asking("alice-rsa", {"one"})).page);
  world.sam->failure = Error{ErrorCode::authentication_failed, "wrong PIN"};
  expect_refused(world.approve(page), "The authentication data is invalid", "invalid_authentication_data");
  world.sam->failure.reset();
  EXPECT_EQ(world.approve(page).status, 200U);
  EXPECT_EQ(world.approve(page).status, 401U);
  EXPECT_EQ(world.decline(page).status, 401U);
}

TEST_F(CredentialAuthorizationTest, ASignerWhoDeclinesGivesNothing) {
  const auto awaited = wait_for(asking("alice-rsa", {"one"}));
  const auto page = world.page(awaited.page);
  EXPECT_EQ(must(json::parse(world.decline(page).body)), (json::Value{{"redirect", nullptr}}));
  expect_refused(ask(awaited.handle), "The signer declined", "access_denied");
  EXPECT_EQ(world.approve(page).status, 401U);
  expect_refused(ask(awaited.handle), "The signer declined", "access_denied");
}

TEST_F(CredentialAuthorizationTest, AHandleIsForItsClientAlone) {
  const auto awaited = wait_for(asking("alice-rsa", {"one"}));
  EXPECT_EQ(world.approve(world.page(awaited.page)).status, 200U);
  for (const auto* other : {"any", "only-alice"}) expect_refused(ask(awaited.handle, other), "Invalid parameter handle");
  expect_refused(ask(awaited.page), "Invalid parameter handle");
  expect_refused(ask(""), "Invalid parameter handle");
  EXPECT_EQ(ask(awaited.handle).status, 200U);
}

TEST_F(CredentialAuthorizationTest, AHandleEndsWithItsTransactionAndThenWithItsSad) {
  const auto missed = wait_for(asking("alice-rsa", {"one"}));
  const auto awaited = wait_for(asking("alice-rsa", {"two"}));
  EXPECT_EQ(world.approve(world.page(awaited.page)).status, 200U);
  world.clock->advance(std::chrono::seconds{59});
  EXPECT_EQ(ask(awaited.handle).status, 200U);
  world.clock->advance(std::chrono::seconds{1});
  expect_refused(ask(awaited.handle), "Invalid parameter handle");
  EXPECT_EQ(ask(missed.handle).status, 202U);
  world.clock->advance(std::chrono::seconds{240});
  expect_refused(ask(missed.handle), "Invalid parameter handle");
}

TEST_F(CredentialAuthorizationTest, WhatIsKeptIsOpenedByTheHandleAlone) {
  const auto awaited = wait_for(asking("alice-rsa", {"one"}));
  EXPECT_EQ(world.approve(world.page(awaited.page)).status, 200U);
  const auto sad = must(json::parse(ask(awaited.handle).body)).at("SAD").get<std::string>();
  world.start();
  EXPECT_EQ(ask(awaited.handle).status, 200U) << "a restart loses nothing";
  const auto read = world.database.get()->read([&](storage::Reader& reader) -> Status {
    return reader.query("SELECT handle, private_key, sad FROM ssa_device_approvals", {}, [&](const storage::Row& row) {
      const auto all = std::string(as_text(row.bytes(0))) + std::string(as_text(row.bytes(1))) + row.text(2);
      EXPECT_EQ(all.find(sad), std::string::npos);
      EXPECT_EQ(all.find("PRIVATE KEY"), std::string::npos);
      EXPECT_EQ(all.find(awaited.handle), std::string::npos);
      return true;
    });
  });
  EXPECT_TRUE(read);
}

TEST_F(CredentialAuthorizationTest, InfoTellsAClientWithoutRedirectsToWaitForTheDevice) {
  const auto auth = [&](std::string_view client, bool info) {
    return must(json::parse(world.post("/csc/v2/credentials/info", {{"credentialID", "alice-rsa"}, {"authInfo", info}}, client).body))
        .at("auth");
  };
  EXPECT_EQ(auth("waiting", false), (json::Value{{"mode", "explicit"}, {"objects", json::Value::array()}}));
  const auto told = auth("waiting", true);
  EXPECT_EQ(told.at("mode"), "explicit");
  ASSERT_EQ(told.at("objects").size(), 1U);
  EXPECT_EQ(told.at("objects")[0].at("type"), "PasswordOOB");
  EXPECT_EQ(told.at("objects")[0].at("id"), "device");
  EXPECT_EQ(auth("any", true), (json::Value{{"mode", "oauth2code"}, {"objects", json::Value::array()}}));
}

TEST_F(CredentialAuthorizationTest, AClientWithRedirectsIsSentThere) {
  expect_refused(world.post(authorize, asking("alice-rsa", {"one"}), "any"),
                 "The credential is not authorized by credentials/authorize: its auth/mode is oauth2code");
  EXPECT_EQ(world.sam->lookups, 1U) << "only what the credential is was asked";
}

TEST_F(CredentialAuthorizationTest, TakesTheObjectOfTheDeviceAndNothingThatWasCollected) {
  auto body = asking("alice-rsa", {"one"});
  body["authData"] = json::Value::array({{{"id", "device"}}});
  (void)wait_for(body);
  body["authData"] = nullptr;
  (void)wait_for(body);
  for (const auto& wrong :
       {json::Value::array({{{"id", "device"}, {"value", "CANARY-1"}}}), json::Value::array({{{"id", "PIN"}, {"value", "CANARY-1"}}}),
        json::Value::array({{{"id", "device"}}, {{"id", "device"}}}), json::Value::array({"device"}), json::Value("device"),
        json::Value{{"id", "device"}}}) {
    body["authData"] = wrong;
    const auto answer = world.post(authorize, body, "waiting");
    expect_refused(answer, "The authentication data is invalid", "invalid_authentication_data");
    EXPECT_EQ(answer.body.find("CANARY"), std::string::npos);
  }
  body["authData"] = json::Value::array();
  for (const auto* name : {"PIN", "OTP"}) {
    auto with = body;
    with[name] = "CANARY-2";
    expect_refused(world.post(authorize, with, "waiting"), std::string("Invalid parameter ") + name);
  }
}

TEST_F(CredentialAuthorizationTest, AsksForExactlyTheDigestsThatItCounts) {
  const auto changed = [&](const char* name, const json::Value& value) {
    auto body = asking("alice-rsa", {"one", "two"});
    body[name] = value;
    return world.post(authorize, body, "waiting");
  };
  expect_refused(changed("hashes", nullptr), "Missing (or invalid type) array parameter hashes");
  expect_refused(changed("hashes", "x"), "Missing (or invalid type) array parameter hashes");
  expect_refused(changed("hashes", json::Value::array()), "Empty hash array");
  expect_refused(changed("hashes", json::Value::array({"AAAA"})), "Invalid digest value length");
  expect_refused(changed("hashes", json::Value::array({encode_base64(Bytes(48)), encode_base64(Bytes(48))})),
                 "Invalid digest value length");
  expect_refused(changed("numSignatures", 1), "Invalid value for parameter numSignatures");
  expect_refused(changed("numSignatures", 3), "Invalid value for parameter numSignatures");
  expect_refused(changed("hashAlgorithmOID", nullptr), "Missing (or invalid type) string parameter hashAlgorithmOID");
  expect_refused(changed("hashAlgorithmOID", "1.3.14.3.2.26"), "Invalid parameter hashAlgorithmOID");
  expect_refused(changed("hashType", "sodr"), "Invalid parameter hashType");
  expect_refused(changed("description", std::string(501, 'd')), "Invalid parameter description");
  expect_refused(changed("clientData", 5), "Invalid parameter clientData");
  EXPECT_EQ(changed("description", std::string(500, 'd')).status, 202U);
}

TEST_F(CredentialAuthorizationTest, OpensNothingForAKeyThatCannotSign) {
  world.sam->facts("alice-rsa").certificate_revoked = true;
  expect_refused(world.post(authorize, asking("alice-rsa", {"one"}), "waiting"), "Invalid certificate status");
  world.sam->facts("alice-ec").state = protocol::KeyState::suspended;
  expect_refused(world.post(authorize, asking("alice-ec", {"one"}), "waiting"), "The credential identified by credentialID is disabled");
  expect_refused(world.post(authorize, asking("bob-ec", {"one"}), "only-alice"), "Invalid parameter credentialID");
}

TEST_F(CredentialAuthorizationTest, NoObjectHasAChallenge) {
  expect_refused(world.post(challenge, json::Value::object(), "waiting"), "Missing (or invalid type) string parameter credentialID");
  expect_refused(world.post(challenge, {{"credentialID", "nobody"}, {"authObjectID", "device"}}, "waiting"),
                 "Invalid parameter credentialID");
  expect_refused(world.post(challenge, {{"credentialID", "alice-rsa"}}, "waiting"),
                 "Missing (or invalid type) string parameter authObjectID");
  expect_refused(world.post(challenge, {{"credentialID", "alice-rsa"}, {"authObjectID", "device"}}, "waiting"),
                 "Invalid parameter authObjectID");
}

}  // namespace
}  // namespace intaglio::ssa::csc
