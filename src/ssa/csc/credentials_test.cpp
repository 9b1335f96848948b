#include "ssa/csc/credentials.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "ssa/csc/algorithms.h"
#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;

class CredentialsTest : public testing::Test {
 protected:
  [[nodiscard]] json::Value ask(const std::string& path, const json::Value& body, std::string_view client = "any") const {
    const auto answer = world_.post(path, body, client);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body));
  }
  test::World world_;
};

TEST_F(CredentialsTest, InfoDescribesTheServiceToAnybody) {
  const auto answer = world_.send("POST", "/csc/v2/info", "", "");
  ASSERT_EQ(answer.status, 200U);
  const auto body = must(json::parse(answer.body));
  EXPECT_EQ(body.at("specs"), "2.2.0.0");
  EXPECT_EQ(body.at("authType"), json::Value::array({"oauth2client", "oauth2code"}));
  EXPECT_EQ(body.at("oauth2"), "https://sign.example/csc/v2");
  EXPECT_EQ(body.at("methods"), json::Value::array({"info", "oauth2/token", "oauth2/revoke", "credentials/list", "credentials/info",
                                                    "credentials/extendTransaction", "signatures/signHash", "signatures/signDoc",
                                                    "signatures/signPolling", "oauth2/authorize", "oauth2/pushed_authorize",
                                                    "credentials/authorize", "credentials/authorizeCheck", "credentials/getChallenge"}));
  EXPECT_EQ(body.at("supportedHashTypes"), json::Value::array({"dtbsr", "sdr"}));
  EXPECT_EQ(body.at("signature_formats"), must(json::parse(R"({"formats":["P"],"envelope_properties":[["Certification","Revision"]]})")));
  EXPECT_EQ(body.at("conformance_levels"), json::Value::array({"AdES-B-B"}));
  EXPECT_EQ(body.at("asynchronousOperationMode"), true);
  EXPECT_EQ(body.at("logo"), "https://sign.example/csc/v2/logo");
  const auto& algorithms = body.at("signAlgorithms");
  EXPECT_EQ(algorithms.at("algos").size(), algorithms.at("algoParams").size());
  for (const auto& parameter : algorithms.at("algoParams")) EXPECT_TRUE(parameter.is_string());
  for (const auto* member : {"name", "region", "lang", "description", "signature_formats", "conformance_levels"})
    EXPECT_TRUE(body.contains(member));
}

TEST_F(CredentialsTest, TheLogoOfInfoIsAnImage) {
  const auto logo = world_.send("GET", "/csc/v2/logo", "", "");
  EXPECT_EQ(logo.status, 200U);
  EXPECT_EQ(logo.content_type, "image/png");
  EXPECT_TRUE(logo.body.starts_with("\x89PNG"));
}

TEST_F(CredentialsTest, ListNamesTheCredentialsOfOneSigner) {
  EXPECT_EQ(ask("/csc/v2/credentials/list", {{"userID", "alice"}}), (json::Value{{"credentialIDs", {"alice-rsa", "alice-ec"}}}));
  EXPECT_EQ(ask("/csc/v2/credentials/list", {{"userID", "bob"}}).at("credentialIDs"), json::Value::array({"bob-ec"}));
}

TEST_F(CredentialsTest, ListDescribesThemWhenAsked) {
  const auto body =
      ask("/csc/v2/credentials/list", {{"userID", "alice"}, {"credentialInfo", true}, {"certificates", "none"}, {"certInfo", true}});
  ASSERT_EQ(body.at("credentialInfos").size(), 2U);
  const auto& first = body.at("credentialInfos")[0];
  EXPECT_EQ(first.at("credentialID"), "alice-rsa");
  EXPECT_FALSE(first.at("cert").contains("certificates"));
  EXPECT_EQ(first.at("cert").at("subjectDN"), "CN=Alice,O=Wonder,C=NO");
}

TEST_F(CredentialsTest, OnlyValidLeavesOutWhatCannotSignAndSaysSo) {
  world_.sam->facts("alice-rsa").certificate_revoked = true;
  const auto body = ask("/csc/v2/credentials/list", {{"userID", "alice"}, {"onlyValid", "true"}});
  EXPECT_EQ(body.at("credentialIDs"), json::Value::array({"alice-ec"}));
  EXPECT_EQ(body.at("onlyValid"), true);
}

TEST_F(CredentialsTest, InfoOfAnRsaCredentialHasEveryMemberOfTheTable) {
  const auto body =
      ask("/csc/v2/credentials/info", {{"credentialID", "alice-rsa"}, {"certificates", "chain"}, {"certInfo", true}, {"authInfo", true}});
  EXPECT_EQ(body.at("key").at("status"), "enabled");
  EXPECT_EQ(body.at("key").at("len"), 3072);
  EXPECT_FALSE(body.at("key").contains("curve"));
  EXPECT_EQ(body.at("key").at("algo"), json::Value(algorithm_oids(world_.sam->facts("alice-rsa").suites)));
  EXPECT_EQ(body.at("cert").at("status"), "valid");
  EXPECT_EQ(body.at("cert").at("certificates"), json::Value::array({encode_base64(world_.sam->facts("alice-rsa").certificates.front())}));
  EXPECT_EQ(body.at("cert").at("validFrom"), "20261119104000Z");
  EXPECT_EQ(body.at("cert").at("validTo"), "20271120104000Z");
  EXPECT_EQ(body.at("cert").at("issuerDN"), "CN=Alice,O=Wonder,C=NO");
  EXPECT_TRUE(body.at("cert").at("serialNumber").is_string());
  EXPECT_EQ(body.at("auth"), (json::Value{{"mode", "oauth2code"}, {"objects", json::Value::array()}}));
  EXPECT_EQ(body.at("SCAL"), "2");
  EXPECT_EQ(body.at("multisign"), 100);
}

TEST_F(CredentialsTest, InfoOfAnEcCredentialNamesItsCurve) {
  const auto body = ask("/csc/v2/credentials/info", {{"credentialID", "bob-ec"}});
  EXPECT_EQ(body.at("key").at("curve"), "1.2.840.10045.3.1.7");
  EXPECT_EQ(body.at("key").at("len"), 256);
  EXPECT_FALSE(body.at("cert").contains("subjectDN")) << "only with certInfo";
}

TEST_F(CredentialsTest, InfoTellsTheStateOfKeyAndCertificate) {
  auto& facts = world_.sam->facts("alice-rsa");
  const auto state = [&] {
    world_.service->credential_changed(facts.key);
    const auto body = ask("/csc/v2/credentials/info", {{"credentialID", "alice-rsa"}});
    return std::pair<std::string, std::string>(body.at("key").at("status"), body.at("cert").value("status", "absent"));
  };
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(state(), Pair("enabled", "valid"));
  facts.state = protocol::KeyState::suspended;
  EXPECT_EQ(state(), Pair("disabled", "suspended"));
  facts.certificate_revoked = true;
  EXPECT_EQ(state(), Pair("disabled", "revoked"));
  facts = protocol::CredentialFacts(facts);
  facts.certificate_revoked = false;
  facts.state = protocol::KeyState::generated;
  facts.certificates.clear();
  EXPECT_EQ(state(), Pair("disabled", "absent"));
}

TEST_F(CredentialsTest, AClientSeesTheSignersThatItIsRegisteredForAlone) {
  EXPECT_EQ(world_.post("/csc/v2/credentials/list", {{"userID", "alice"}}, "only-alice").status, 200U);
  const auto list = world_.post("/csc/v2/credentials/list", {{"userID", "bob"}}, "only-alice");
  EXPECT_EQ(list.status, 400U);
  EXPECT_EQ(list.body, world_.post("/csc/v2/credentials/list", {{"userID", "nobody"}}, "only-alice").body) << "as if there were no Bob";
  for (const auto* path : {"/csc/v2/credentials/info", "/csc/v2/credentials/authorize"}) {
    const auto theirs = world_.post(path, {{"credentialID", "bob-ec"}, {"numSignatures", 1}}, "only-alice");
    EXPECT_EQ(theirs.status, 400U);
    EXPECT_EQ(theirs.body, world_.post(path, {{"credentialID", "nobody-1"}, {"numSignatures", 1}}, "only-alice").body);
  }
  json::Value open{{"credentialID", "bob-ec"}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}, {"documents", json::Value::array()}};
  open["documents"].push_back({{"hash", encode_base64(test::digest_of("x"))}, {"label", "x"}});
  EXPECT_EQ(world_.post("/sic/v1/transactions", open, "only-alice").status, 400U);
  for (const auto* path : {"/sic/v1/enrolments", "/sic/v1/keys"}) {
    EXPECT_EQ(world_.post(path, {{"signerID", "bob"}, {"algorithm", "p256"}, {"profile", "direct-resident"}}, "only-alice").status, 400U);
  }
}

TEST_F(CredentialsTest, AListThatHoldsAnotherSignersCredentialIsNotAnswered) {
  world_.sam->mixes_signers = true;
  const auto answer = world_.post("/csc/v2/credentials/list", {{"userID", "alice"}, {"credentialInfo", true}});
  EXPECT_EQ(answer.status, 500U);
  EXPECT_EQ(answer.body.find("bob"), std::string::npos);
}

/// Whatever is asked, by whom, in whatever order: an answer about one signer holds nothing of the other.
RC_GTEST_PROP(CredentialsProperty, NoAnswerMixesTwoSigners, ()) {
  static test::World world;
  const std::vector<std::string> names{"alice", "bob", "alice-rsa", "alice-ec", "bob-ec", "nobody"};
  const auto any_of = [&](const std::vector<std::string>& words) { return *rc::gen::elementOf(words); };
  const auto of_alice = [](const std::string& text) {
    return text.find("alice") != std::string::npos || text.find("Alice") != std::string::npos;
  };
  const auto of_bob = [](const std::string& text) {
    return text.find("bob") != std::string::npos || text.find("Bob") != std::string::npos;
  };
  world.sam->mixes_signers = *rc::gen::weightedElement<bool>({{4, false}, {1, true}});

  for (int step = 0; step < 4; ++step) {
    const auto client = any_of({"any", "only-alice", "waiting"});
    const auto path = any_of({"/csc/v2/credentials/list", "/csc/v2/credentials/info", "/csc/v2/credentials/authorize",
                              "/csc/v2/credentials/authorizeCheck", "/csc/v2/credentials/getChallenge", "/csc/v2/signatures/signHash",
                              "/csc/v2/signatures/signDoc", "/csc/v2/signatures/signPolling"});
    auto body = test::World::sign_body(any_of(names), "not-a-sad", {"one"});
    body["hashAlgorithmOID"] = "2.16.840.1.101.3.4.2.1";
    body["handle"] = any_of(names);
    body["authObjectID"] = any_of(names);
    body["requestID"] = any_of(names);
    body["documentDigests"] =
        json::Value::array({{{"hashes", body.at("hashes")}, {"signature_format", "P"}, {"signAlgo", body.at("signAlgo")}}});
    body["userID"] = any_of(names);
    body["numSignatures"] = 1;
    body["credentialInfo"] = *rc::gen::arbitrary<bool>();
    body["certInfo"] = *rc::gen::arbitrary<bool>();
    body["certificates"] = any_of({"none", "single", "chain"});
    const auto answer = world.post(path, body, client);
    // Certificates are base64: read the names in them, too.
    auto text = answer.body;
    if (const auto parsed = json::parse(answer.body); parsed && parsed->contains("credentialInfos")) {
      for (const auto& info : parsed->at("credentialInfos")) {
        for (const auto& der : info.at("cert").value("certificates", json::Value::array())) {
          text += std::string(as_text(must(parse_base64(der.get<std::string>()))));
        }
      }
    }
    RC_ASSERT(!(of_alice(text) && of_bob(text)));
    if (client == "only-alice") RC_ASSERT(!of_bob(text));
    if (answer.status == 200 && path == "/csc/v2/credentials/list") {
      RC_ASSERT(!(body.at("userID") == "alice" ? of_bob(text) : of_alice(text)));
    }
  }
}

}  // namespace
}  // namespace intaglio::ssa::csc
