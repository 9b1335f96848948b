#include "ssa/csc/sign_hash.h"

#include <gtest/gtest.h>

#include "ssa/csc/algorithms.h"
#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;

class SignHashTest : public testing::Test {
 protected:
  /// Refused with this text before the SAM was asked to sign.
  void expect_early(const http::Response& answer, std::string_view description, unsigned status = 400,
                    std::string_view error = "invalid_request") {
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(body.at("error"), error);
    EXPECT_EQ(body.at("error_description"), description);
    EXPECT_EQ(world_.sam->signs, 0U);
  }
  [[nodiscard]] std::string forged(const json::Value& claims, const crypto::Signer& key, std::string_view typ = "intaglio-sad+jwt") const {
    return must(crypto::make_jws(key, typ, "sad", json::encode(claims)));
  }
  [[nodiscard]] json::Value claims_of(const std::string& sad) const {
    return must(json::parse(must(crypto::verify_jws(sad, "intaglio-sad+jwt", world_.sam->sad_key->public_key()))));
  }

  test::World world_;
};

TEST_F(SignHashTest, ReturnsSignaturesInTheOrderOfTheRequestWithTheirAuditEntries) {
  const auto sad = world_.sad("alice-rsa", {"one", "two", "three"});
  const auto answer = world_.sign("alice-rsa", sad, {"three", "one", "two"});
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto body = must(json::parse(answer.body));
  ASSERT_EQ(body.at("signatures").size(), 3U);
  const std::vector<std::string> order{"three", "one", "two"};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto expected = test::FakeSam::signature_of("alice-rsa", test::digest_of(order[i]));
    EXPECT_EQ(body.at("signatures")[i], encode_base64(expected));
    EXPECT_EQ(body.at("auditReceipts")[i].at("log"), "intaglio/sam/test");
    EXPECT_EQ(body.at("auditReceipts")[i].at("index"), i);
    EXPECT_EQ(body.at("auditReceipts")[i].at("leaf"), encode_base64(crypto::sha256(test::digest_of(order[i]))));
  }
  ASSERT_TRUE(world_.sam->last_sign);
  EXPECT_EQ(world_.sam->last_sign->client_id, "any");
  EXPECT_EQ(world_.sam->last_sign->client_address, "192.0.2.1");
  EXPECT_EQ(world_.sam->last_sign->sad, sad);
}

TEST_F(SignHashTest, LetsOneSadServeSeveralCallsWhileOccurrencesAreLeft) {
  const auto sad = world_.sad("alice-rsa", {"one", "two", "two"});
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"two"}).status, 200U);
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"two", "one"}).status, 200U);
  world_.sam->signs = 0;
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid parameter SAD");
}

TEST_F(SignHashTest, MapsEverySuiteOfTheKey) {
  const auto sad = world_.sad("alice-rsa", {"one", "two", "three"});
  auto body = world_.sign_body("alice-rsa", sad, {"one"});
  body["signAlgo"] = "1.2.840.113549.1.1.10";
  body["signAlgoParams"] = encode_base64(pss_parameters(crypto::HashAlgorithm::sha256));
  EXPECT_EQ(world_.post("/csc/v2/signatures/signHash", body).status, 200U);
  EXPECT_EQ(world_.sam->last_sign->suite, crypto::SignatureSuite::rsa_pss_sha256);
  body = world_.sign_body("alice-rsa", sad, {"two"});
  body["signAlgo"] = "1.2.840.113549.1.1.1";
  body["hashAlgorithmOID"] = "2.16.840.1.101.3.4.2.1";
  EXPECT_EQ(world_.post("/csc/v2/signatures/signHash", body).status, 200U);
  EXPECT_EQ(world_.sam->last_sign->suite, crypto::SignatureSuite::rsa_pkcs1_sha256);
}

TEST_F(SignHashTest, RefusesASadThatTheSamDidNotSign) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  const auto other = must(crypto::SoftwareKey::generate());
  expect_early(world_.sign("alice-rsa", forged(claims_of(sad), *other), {"one"}), "Invalid parameter SAD");
  auto broken = sad;
  broken[broken.size() / 2] = broken[broken.size() / 2] == 'A' ? 'B' : 'A';
  expect_early(world_.sign("alice-rsa", broken, {"one"}), "Invalid parameter SAD");
  expect_early(world_.sign("alice-rsa", "x.y.z", {"one"}), "Invalid parameter SAD");
}

TEST_F(SignHashTest, RefusesATokenOfAnotherKindUnderTheSadKey) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  expect_early(world_.sign("alice-rsa", forged(claims_of(sad), *world_.sam->sad_key, "JWT"), {"one"}), "Invalid parameter SAD");
}

TEST_F(SignHashTest, RefusesASadThatWasNotIssuedThroughThisService) {
  auto claims = claims_of(world_.sad("alice-rsa", {"one"}));
  claims["jti"] = "another";
  expect_early(world_.sign("alice-rsa", forged(claims, *world_.sam->sad_key), {"one"}), "Invalid parameter SAD");
}

TEST_F(SignHashTest, RefusesASadThatNamesAnotherListKeyOrSigner) {
  for (const auto& [member, value] :
       {std::pair{"dig", encode_base64url(test::digest_of("another list"))}, {"key", std::string("bob-ec")}, {"sub", std::string("bob")}}) {
    SCOPED_TRACE(member);
    auto claims = claims_of(world_.sad("alice-rsa", {"one"}));
    claims[member] = value;
    expect_early(world_.sign("alice-rsa", forged(claims, *world_.sam->sad_key), {"one"}), "Invalid parameter SAD");
  }
}

TEST_F(SignHashTest, RefusesAnExpiredSad) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.clock->advance(std::chrono::seconds{60});
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "SAD expired");
}

TEST_F(SignHashTest, RefusesAnExpiredSadThatWasSeenBefore) {
  const auto sad = world_.sad("alice-rsa", {"one", "two"});
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one"}).status, 200U);
  world_.sam->signs = 0;
  world_.clock->advance(std::chrono::seconds{61});
  expect_early(world_.sign("alice-rsa", sad, {"two"}), "SAD expired");
}

TEST_F(SignHashTest, RefusesASadOlderThanAllowedWhateverItsEnd) {
  world_.sam->change_sad = [](json::Value& claims) { claims["exp"] = claims.at("exp").get<std::int64_t>() + 86400; };
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.clock->advance(std::chrono::seconds{301});
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "SAD expired");
}

TEST_F(SignHashTest, RefusesASadOfTheFuture) {
  world_.sam->change_sad = [](json::Value& claims) { claims["iat"] = claims.at("iat").get<std::int64_t>() + 30; };
  expect_early(world_.sign("alice-rsa", world_.sad("alice-rsa", {"one"}), {"one"}), "Invalid parameter SAD");
}

TEST_F(SignHashTest, RefusesADigestThatWasNotApproved) {
  const auto sad = world_.sad("alice-rsa", {"one", "two"});
  expect_early(world_.sign("alice-rsa", sad, {"one", "three"}), "Hash is not authorized by the SAD.");
  expect_early(world_.sign("alice-rsa", sad, {"one", "one"}), "Hash is not authorized by the SAD.");
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one"}).status, 200U);
  world_.sam->signs = 0;
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Hash is not authorized by the SAD.");
}

TEST_F(SignHashTest, RefusesACertificateThatIsNotActive) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  auto& facts = world_.sam->facts("alice-rsa");
  const auto forget = [&] { world_.service->credential_changed(facts.key); };

  facts.certificate_revoked = true;
  forget();
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid certificate status");
  facts.certificate_revoked = false;

  facts.state = protocol::KeyState::suspended;
  forget();
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid certificate status");
  facts.state = protocol::KeyState::inactive;
  forget();
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "The credential identified by credentialID is disabled");
  facts.state = protocol::KeyState::assigned;

  facts.certificates.clear();
  forget();
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid certificate status");
}

TEST_F(SignHashTest, NamesTheCertificateThatIsExpired) {
  const auto now = world_.clock->now();
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.sam->facts("alice-rsa").certificates = {
      test::make_certificate("Wonder", "Alice", now - std::chrono::hours{2}, now - std::chrono::hours{1})};
  world_.service->credential_changed(must(KeyId::parse("alice-rsa")));
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Signing certificate 'O=Wonder,CN=Alice' is expired.");
  world_.sam->facts("alice-rsa").certificates = {
      test::make_certificate("", "Alice", now + std::chrono::hours{1}, now + std::chrono::hours{2})};
  world_.service->credential_changed(must(KeyId::parse("alice-rsa")));
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Signing certificate 'CN=Alice' is expired.");
}

TEST_F(SignHashTest, NoticesARevocationWithinTheTimeOfItsMemory) {
  const auto sad = world_.sad("alice-rsa", {"one", "two"});
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one"}).status, 200U);
  world_.sam->facts("alice-rsa").certificate_revoked = true;
  world_.sam->signs = 0;
  world_.clock->advance(std::chrono::seconds{5});
  expect_early(world_.sign("alice-rsa", sad, {"two"}), "Invalid certificate status");
}

TEST_F(SignHashTest, RefusesAnotherClientThanTheOneThatOpened) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  expect_early(world_.sign("alice-rsa", sad, {"one"}, "only-alice"), "Invalid parameter SAD");
}

TEST_F(SignHashTest, RefusesAnotherCredentialThanTheOneApproved) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  expect_early(world_.sign("bob-ec", sad, {"one"}), "Invalid parameter credentialID");
  expect_early(world_.sign("alice-ec", sad, {"one"}), "Invalid parameter credentialID");
}

TEST_F(SignHashTest, RefusesASuiteThatWasNotApprovedOrThatTheKeyHasNot) {
  json::Value open{{"credentialID", "alice-rsa"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}, {"suites", {"rsa-pss-sha256"}}};
  open["documents"] = json::Value::array();
  open["documents"].push_back({{"hash", encode_base64(test::digest_of("one"))}, {"label", "one"}});
  const auto opened = must(json::parse(world_.post("/sic/v1/transactions", open).body));
  const auto content = must(protocol::parse_transaction(must(parse_base64url(opened.at("transaction").get<std::string>()))));
  const auto sad = must(json::parse(world_.relay(world_.message(content.nonce)).body)).at("SAD").get<std::string>();
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid parameter signAlgo");
  auto body = world_.sign_body("alice-rsa", sad, {"one"});
  body["signAlgo"] = "1.2.840.10045.4.3.2";
  expect_early(world_.post("/csc/v2/signatures/signHash", body), "Invalid parameter signAlgo");
}

TEST_F(SignHashTest, RefusesASuiteThatTheKeyHasNoLonger) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.sam->facts("alice-rsa").suites = {crypto::SignatureSuite::rsa_pss_sha256};
  world_.service->credential_changed(must(KeyId::parse("alice-rsa")));
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid parameter signAlgo");
}

TEST_F(SignHashTest, RefusesACredentialThatHasBecomeAnotherSigners) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.sam->facts("alice-rsa").signer = must(SignerId::parse("bob"));
  world_.service->credential_changed(must(KeyId::parse("alice-rsa")));
  expect_early(world_.sign("alice-rsa", sad, {"one"}), "Invalid parameter credentialID");
}

TEST_F(SignHashTest, PassesOnNeitherFactsOfAnotherCredentialNorAnotherNumberOfSignatures) {
  const auto sad = world_.sad("alice-rsa", {"one", "two"});
  world_.sam->one_too_few = true;
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one", "two"}).status, 500U);
  world_.sam->answers_for_another = true;
  world_.service->credential_changed(must(KeyId::parse("alice-rsa")));
  EXPECT_EQ(world_.post("/csc/v2/credentials/info", {{"credentialID", "alice-rsa"}}).status, 500U);
}

TEST_F(SignHashTest, TellsWhatTheSamRefusedInTheWordsOfTheApi) {
  const std::vector<std::tuple<ErrorCode, unsigned, std::string, std::string>> rows{
      {ErrorCode::sad_invalid, 400, "invalid_request", "Invalid parameter SAD"},
      {ErrorCode::replayed, 400, "invalid_request", "Invalid parameter SAD"},
      {ErrorCode::sad_expired, 400, "invalid_request", "SAD expired"},
      {ErrorCode::hash_not_authorised, 400, "invalid_request", "Hash is not authorized by the SAD."},
      {ErrorCode::credential_unknown, 400, "invalid_request", "Invalid parameter credentialID"},
      {ErrorCode::credential_locked, 400, "invalid_request", "Credential locked"},
      {ErrorCode::credential_disabled, 400, "invalid_request", "The credential identified by credentialID is disabled"},
      {ErrorCode::certificate_invalid, 400, "invalid_request", "Invalid certificate status"},
      {ErrorCode::algorithm_refused, 400, "invalid_request", "Invalid parameter signAlgo"},
      {ErrorCode::digest_length, 400, "invalid_request", "Invalid digest value length"},
      {ErrorCode::limit_exceeded, 429, "access_denied", "The limit of signatures for now is reached"},
      {ErrorCode::busy, 503, "temporarily_unavailable", "The service is temporarily unavailable"},
      {ErrorCode::audit_unavailable, 503, "temporarily_unavailable", "The service is temporarily unavailable"},
      {ErrorCode::token_unavailable, 503, "temporarily_unavailable", "The service is temporarily unavailable"},
      {ErrorCode::clock_unsynchronised, 503, "temporarily_unavailable", "The service is temporarily unavailable"},
      {ErrorCode::signature_doubtful, 500, "server_error", "The service met an unexpected condition"},
      {ErrorCode::internal, 500, "server_error", "The service met an unexpected condition"}};
  const auto sad = world_.sad("alice-rsa", {"one"});
  EXPECT_EQ(must(json::parse(world_.post("/csc/v2/credentials/info", {{"credentialID", "alice-rsa"}}).body)).at("SCAL"), "2");
  for (const auto& [code, status, error, description] : rows) {
    world_.sam->failure = Error{code, "a detail that stays inside"};
    const auto answer = world_.sign("alice-rsa", sad, {"one"});
    EXPECT_EQ(answer.status, status) << description;
    EXPECT_EQ(answer.body, json::encode({{"error", error}, {"error_description", description}}));
  }
  world_.sam->failure.reset();
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one"}).status, 200U) << "a refusal of the SAM uses nothing up here";
}

TEST_F(SignHashTest, ABatchThatTheSamStoppedIsAnErrorAndMayBeAskedAgain) {
  const auto sad = world_.sad("alice-rsa", {"one", "two"});
  world_.sam->stop_after = 1;
  const auto stopped = world_.sign("alice-rsa", sad, {"one", "two"});
  EXPECT_EQ(stopped.status, 500U);
  EXPECT_EQ(stopped.body.find("signatures"), std::string::npos);
  world_.sam->stop_after.reset();
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one", "two"}).status, 200U);
}

TEST_F(SignHashTest, ASadOutlivesARestartOfTheService) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.start();
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one"}).status, 200U);
}

TEST_F(SignHashTest, BelievesNoSamButThePinnedOne) {
  const auto sad = world_.sad("alice-rsa", {"one"});
  world_.sam->identity_key = must(crypto::SoftwareKey::generate());
  EXPECT_EQ(world_.sign("alice-rsa", sad, {"one"}).status, 200U) << "keys known already are kept for some minutes";
  world_.clock->advance(std::chrono::minutes{5});
  EXPECT_EQ(world_.get("/sic/v1/sam").status, 500U);
  EXPECT_EQ(world_.get("/health/ready").status, 503U);
}

}  // namespace
}  // namespace intaglio::ssa::csc
