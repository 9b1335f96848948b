#include "ssa/signer/interaction.h"

#include <gtest/gtest.h>

#include "crypto/jose/jws.h"
#include "ssa/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using test::must;

class InteractionTest : public testing::Test {
 protected:
  static void expect_refused(const http::Response& answer, unsigned status, std::string_view description) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(must(json::parse(answer.body)).at("error_description"), description);
  }
  [[nodiscard]] protocol::Transaction opened(const std::string& path, const json::Value& body) const {
    const auto answer = world_.post(path, body);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(protocol::parse_transaction(must(parse_base64url(must(json::parse(answer.body)).at("transaction").get<std::string>()))));
  }
  test::World world_;
};

TEST_F(InteractionTest, ATransactionIsOpenedInTheNameOfTheRegisteredClient) {
  json::Value body{{"credentialID", "alice-rsa"},
                   {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"},
                   {"suites", {"rsa-pss-sha256"}},
                   {"client_name", "Liar"}};
  body["documents"] = json::Value::array();
  body["documents"].push_back({{"hash", encode_base64(test::digest_of("one"))}, {"label", "Kjøpekontrakt.pdf"}});
  const auto answer = must(json::parse(world_.post("/sic/v1/transactions", body).body));
  EXPECT_EQ(answer.at("expires"), "2026-11-20T10:45:00Z");
  EXPECT_TRUE(answer.at("ticket").is_string());
  EXPECT_EQ(answer.at("sapStatement"), "statement");
  const auto t = must(protocol::parse_transaction(must(parse_base64url(answer.at("transaction").get<std::string>()))));
  EXPECT_EQ(t.client_id, "any");
  EXPECT_EQ(t.client_name, "Application any");
  EXPECT_EQ(t.documents.front().label, "Kjøpekontrakt.pdf");
  EXPECT_EQ(t.suites, Bytes{static_cast<std::uint8_t>(crypto::SignatureSuite::rsa_pss_sha256)});
}

TEST_F(InteractionTest, ATransactionNeedsAKeyThatCanSign) {
  const auto ask = [&] {
    json::Value body{{"credentialID", "alice-ec"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}, {"documents", json::Value::array()}};
    body["documents"].push_back({{"hash", encode_base64(test::digest_of("one"))}, {"label", "one"}});
    world_.service->credential_changed(must(KeyId::parse("alice-ec")));
    return body;
  };
  auto two = ask();
  two["documents"].push_back(two["documents"][0]);
  expect_refused(world_.post("/sic/v1/transactions", two), 400, "Numbers of signatures is too high");
  world_.sam->facts("alice-ec").state = protocol::KeyState::inactive;
  expect_refused(world_.post("/sic/v1/transactions", ask()), 400, "The credential identified by credentialID is disabled");
  world_.sam->facts("alice-ec").state = protocol::KeyState::assigned;
  world_.sam->facts("alice-ec").certificate_revoked = true;
  expect_refused(world_.post("/sic/v1/transactions", ask()), 400, "Invalid certificate status");
}

TEST_F(InteractionTest, ASigningMessageIsAnsweredWithASad) {
  const auto t = world_.open("alice-rsa", {"one"});
  const auto answer = world_.relay(world_.message(t.nonce));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto body = must(json::parse(answer.body));
  EXPECT_EQ(body.at("expiresIn"), 60);
  EXPECT_EQ(world_.sign("alice-rsa", body.at("SAD").get<std::string>(), {"one"}).status, 200U);
}

TEST_F(InteractionTest, AnEnrolmentMessageIsAnsweredWithWhatTheSamSealed) {
  const auto t = opened("/sic/v1/enrolments", {{"signerID", "alice"}});
  EXPECT_EQ(t.purpose, protocol::Purpose::enrol);
  EXPECT_EQ(world_.relay(world_.message(t.nonce, "intaglio-sap-enrol+jwe")).body, R"({"answer":"sealed-answer"})");
}

TEST_F(InteractionTest, ASessionIsAnsweredWithItsCertificateItsSignaturesAndTheEndOfItsKey) {
  json::Value ask{{"profile", "one-time"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}};
  ask["documents"] = json::Value::array({{{"hash", encode_base64(test::digest_of("one"))}, {"label", "one.pdf"}}});
  const auto t = opened("/sic/v1/sessions", ask);
  EXPECT_EQ(t.purpose, protocol::Purpose::one_time);
  EXPECT_EQ(t.client_id, "any");
  const auto answer = world_.relay(world_.message(t.nonce, "intaglio-sap-one-time+jwe"));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto body = must(json::parse(answer.body));
  EXPECT_EQ(body.at("credentialID"), t.key);
  EXPECT_EQ(body.at("certificates"), json::Value::array({encode_base64(as_bytes("leaf")), encode_base64(as_bytes("issuer"))}));
  EXPECT_EQ(body.at("signatures").size(), 1U);
  EXPECT_EQ(body.at("auditReceipts")[0].at("index"), 6);
  EXPECT_EQ(body.at("keyDestroyed").at("index"), 7);
  EXPECT_EQ(world_.certified, std::vector<std::string>{"assertion csr"});
  EXPECT_EQ(world_.sam->open_sessions, 0);
  EXPECT_TRUE(world_.sam->orphans.empty());
  EXPECT_NE(world_.relay(world_.message(t.nonce, "intaglio-sap-one-time+jwe")).status, 200U) << "a session begins once";
}

TEST_F(InteractionTest, ACertificateWhoseSessionDidNotSignIsReported) {
  json::Value ask{{"profile", "one-time"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}};
  ask["documents"] = json::Value::array({{{"hash", encode_base64(test::digest_of("one"))}, {"label", "one.pdf"}}});
  const auto t = opened("/sic/v1/sessions", ask);
  world_.sam->session_failure = Error{ErrorCode::certificate_invalid, "no"};
  EXPECT_NE(world_.relay(world_.message(t.nonce, "intaglio-sap-one-time+jwe")).status, 200U);
  EXPECT_EQ(world_.sam->open_sessions, 0);
  EXPECT_EQ(world_.sam->orphans, std::vector<std::string>{t.key + " leaf"});
}

TEST_F(InteractionTest, ASessionWithoutACertificateEndsAndReportsNone) {
  json::Value ask{{"profile", "one-time"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}};
  ask["documents"] = json::Value::array({{{"hash", encode_base64(test::digest_of("one"))}, {"label", "one.pdf"}}});
  const auto t = opened("/sic/v1/sessions", ask);
  world_.issuer_failure = Error{ErrorCode::not_authorised, "no"};
  EXPECT_EQ(world_.relay(world_.message(t.nonce, "intaglio-sap-one-time+jwe")).status, 500U);
  EXPECT_EQ(world_.sam->open_sessions, 0);
  EXPECT_TRUE(world_.sam->orphans.empty());
}

TEST_F(InteractionTest, AGeneratedKeyWaitsForTheRegistrationAuthorityBeforeItIsAnswered) {
  const json::Value ask{{"signerID", "alice"}, {"algorithm", "rsa3072"}, {"profile", "direct-resident"}};
  const auto t = opened("/sic/v1/keys", ask);
  const auto answer = must(json::parse(world_.relay(world_.message(t.nonce, "intaglio-sap-key+jwe")).body));
  EXPECT_EQ(answer.at("credentialID"), t.key);
  EXPECT_EQ(answer.at("csr"), encode_base64(as_bytes("csr")));
  EXPECT_EQ(world_.generated, (std::vector<std::pair<std::string, std::string>>{{t.key, "alice"}}));

  const auto limited = opened("/sic/v1/keys", ask);
  world_.sam->failure = Error{ErrorCode::limit_exceeded, "keys"};
  expect_refused(world_.relay(world_.message(limited.nonce, "intaglio-sap-key+jwe")), 429,
                 "The signer has, or made today, as many keys as are allowed");
  world_.sam->failure.reset();
  world_.hook_failure = Error{ErrorCode::storage_unavailable, "disk full"};
  const auto second = opened("/sic/v1/keys", ask);
  EXPECT_EQ(world_.relay(world_.message(second.nonce, "intaglio-sap-key+jwe")).status, 503U);
}

TEST_F(InteractionTest, AChangeOfFactorsIsAnsweredWithWhatTheSamSealed) {
  const auto t = opened("/sic/v1/factors", {{"signerID", "alice"}});
  EXPECT_EQ(t.purpose, protocol::Purpose::factors);
  EXPECT_EQ(world_.relay(world_.message(t.nonce, "intaglio-sap-factors+jwe")).body, R"({"answer":"sealed-change"})");
}

TEST_F(InteractionTest, ASignerSuspendsAndDestroysAKeyAndTheNextAnswerKnowsIt) {
  const auto suspension = opened("/sic/v1/suspensions", {{"credentialID", "alice-ec"}});
  EXPECT_EQ(suspension.purpose, protocol::Purpose::suspend);
  expect_refused(world_.relay(world_.message(suspension.nonce, "intaglio-sap-destroy+jwe")), 400, "Invalid parameter message");
  EXPECT_EQ(world_.relay(world_.message(suspension.nonce, "intaglio-sap-suspend+jwe")).body,
            R"({"credentialID":"alice-ec","state":"suspended"})");
  json::Value ask{{"credentialID", "alice-ec"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}, {"documents", json::Value::array()}};
  ask["documents"].push_back({{"hash", encode_base64(test::digest_of("one"))}, {"label", "one"}});
  expect_refused(world_.post("/sic/v1/transactions", ask), 400, "The credential identified by credentialID is disabled");
  const auto destruction = opened("/sic/v1/destructions", {{"credentialID", "alice-ec"}});
  EXPECT_EQ(world_.relay(world_.message(destruction.nonce, "intaglio-sap-destroy+jwe")).body,
            R"({"credentialID":"alice-ec","state":"destroyed"})");
}

TEST_F(InteractionTest, AClientChangesNoKeyOfASignerItMayNotSee) {
  for (const auto* path : {"/sic/v1/suspensions", "/sic/v1/destructions"}) {
    EXPECT_EQ(world_.post(path, {{"credentialID", "bob-ec"}}, "only-alice").status, 400U);
    EXPECT_EQ(world_.post(path, {{"credentialID", "alice-ec"}}, "only-alice").status, 200U);
    EXPECT_EQ(world_.post(path, {{"credentialID", "a b"}}).status, 400U);
  }
  EXPECT_EQ(world_.post("/sic/v1/factors", {{"signerID", "bob"}}, "only-alice").status, 400U);
}

json::Value grant_of(const std::string& credential) {
  const auto key = must(crypto::SoftwareKey::generate());
  return {{"credentialID", credential},
          {"suites", {"ecdsa-sha256"}},
          {"clientKey", must(json::parse(must(crypto::encode_jwk(key->public_key()))))},
          {"signatures", 100},
          {"expires", "2026-12-20T10:45:00Z"}};
}

TEST_F(InteractionTest, AGrantIsOpenedForTheKeyThatWasNamedAndEndedByItsId) {
  const auto asked = grant_of("alice-ec");
  const auto t = opened("/sic/v1/grants", asked);
  EXPECT_EQ(t.purpose, protocol::Purpose::grant);
  EXPECT_EQ(t.grant->signatures, 100U);
  EXPECT_EQ(t.grant->ends, must(parse_utc("2026-12-20T10:45:00Z")));
  EXPECT_EQ(t.grant->client_key, must(crypto::parse_jwk(json::encode(asked["clientKey"]))).spki());
  EXPECT_EQ(must(json::parse(world_.post("/sic/v1/grants/ends", {{"grant", "grant-1"}}).body)).at("state"), "ended");
  EXPECT_EQ(world_.sam->ended_grants, std::vector<std::string>{"grant-1"});
}

TEST_F(InteractionTest, AGrantThatIsNotWellFormedIsNotOpened) {
  const std::vector<std::pair<std::string, json::Value>> wrong = {{"suites", json::Value::array()},
                                                                  {"suites", {"ecdsa-sha256", "ecdsa-sha256"}},
                                                                  {"suites", {"none"}},
                                                                  {"clientKey", "a text"},
                                                                  {"clientKey", json::Value::object()},
                                                                  {"signatures", 0},
                                                                  {"signatures", -1},
                                                                  {"signatures", 1.5},
                                                                  {"signatures", "100"},
                                                                  {"expires", "tomorrow"},
                                                                  {"credentialID", "no id"}};
  for (const auto& [member, value] : wrong) {
    auto body = grant_of("alice-ec");
    body[member] = value;
    EXPECT_EQ(world_.post("/sic/v1/grants", body).status, 400U) << member << " " << json::encode(value);
    body.erase(member);
    EXPECT_EQ(world_.post("/sic/v1/grants", body).status, 400U) << "without " << member;
  }
  EXPECT_EQ(world_.post("/sic/v1/grants/ends", {{"grant", "no id"}}).status, 400U);
}

TEST_F(InteractionTest, AClientOpensNoGrantOfASignerItMayNotSee) {
  EXPECT_EQ(world_.post("/sic/v1/grants", grant_of("bob-ec"), "only-alice").status, 400U);
  EXPECT_EQ(world_.post("/sic/v1/grants", grant_of("alice-ec"), "only-alice").status, 200U);
}

TEST_F(InteractionTest, AMessageOfAnotherClientsTransactionIsNotRelayed) {
  const auto t = world_.open("alice-rsa", {"one"});
  expect_refused(world_.relay(world_.message(t.nonce), "only-alice"), 400, "Invalid parameter message");
  EXPECT_EQ(world_.sam->messages, 0U);
}

TEST_F(InteractionTest, AMessageOfNoTransactionIsNotRelayed) {
  expect_refused(world_.relay(world_.message(Bytes(16))), 400, "Invalid parameter message");
  EXPECT_EQ(world_.sam->messages, 0U);
}

TEST_F(InteractionTest, AMessageOfAnotherPurposeIsNotRelayed) {
  const auto t = world_.open("alice-rsa", {"one"});
  for (const auto* typ : {"intaglio-sap-enrol+jwe", "intaglio-sap-key+jwe", "JWE"}) {
    expect_refused(world_.relay(world_.message(t.nonce, typ)), 400, "Invalid parameter message");
  }
  EXPECT_EQ(world_.sam->messages, 0U);
}

TEST_F(InteractionTest, AMessageOfAnExpiredTransactionIsNotRelayed) {
  const auto t = world_.open("alice-rsa", {"one"});
  world_.clock->advance(std::chrono::minutes{5});
  expect_refused(world_.relay(world_.message(t.nonce)), 400, "The transaction is expired");
  EXPECT_EQ(world_.sam->messages, 0U);
}

TEST_F(InteractionTest, ATransactionIsAnsweredOnce) {
  const auto t = world_.open("alice-rsa", {"one"});
  const auto message = world_.message(t.nonce);
  EXPECT_EQ(world_.relay(message).status, 200U);
  expect_refused(world_.relay(message), 400, "Invalid parameter ticket");
  expect_refused(world_.relay(world_.message(t.nonce)), 400, "Invalid parameter ticket");
  EXPECT_EQ(world_.sam->messages, 1U);
}

TEST_F(InteractionTest, AWrongFactorLeavesTheTransactionOpenForTheNextMessage) {
  const auto t = world_.open("alice-rsa", {"one"});
  world_.sam->failure = Error{ErrorCode::authentication_failed, "PIN"};
  const auto refused = world_.relay(world_.message(t.nonce));
  EXPECT_EQ(refused.body, R"({"error":"invalid_authentication_data","error_description":"The authentication data is invalid"})");
  world_.sam->failure.reset();
  EXPECT_EQ(world_.relay(world_.message(t.nonce)).status, 200U);
}

TEST_F(InteractionTest, AMessageThatTheSamHasSeenBeforeIsAnInvalidMessage) {
  const auto t = world_.open("alice-rsa", {"one"});
  for (const auto code : {ErrorCode::replayed, ErrorCode::invalid_request, ErrorCode::not_authorised}) {
    world_.sam->failure = Error{code, "a detail that stays inside"};
    expect_refused(world_.relay(world_.message(t.nonce)), 400, "Invalid parameter message");
  }
}

TEST_F(InteractionTest, ASadThatTheSamDidNotSignIsNotPassedOn) {
  const auto t = world_.open("alice-rsa", {"one"});
  world_.sam->sad_type = "JWT";
  EXPECT_EQ(world_.relay(world_.message(t.nonce)).status, 500U);
}

TEST_F(InteractionTest, ThePublishedKeysAreThoseOfThePinnedSam) {
  const auto answer = world_.get("/sic/v1/sam");
  ASSERT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, must(world_.sam->public_keys()));
}

TEST_F(InteractionTest, TheServiceIsReadyWhenTheSamAnswers) {
  EXPECT_EQ(world_.send("GET", "/health/alive", "", "").status, 200U);
  world_.sam->failure = Error{ErrorCode::token_unavailable, "down"};
  EXPECT_EQ(world_.send("GET", "/health/ready", "", "").status, 503U);
  EXPECT_EQ(world_.send("GET", "/health/alive", "", "").status, 200U);
  world_.sam->failure.reset();
  EXPECT_EQ(world_.send("GET", "/health/ready", "", "").status, 200U);
}

}  // namespace
}  // namespace intaglio::ssa::signer
