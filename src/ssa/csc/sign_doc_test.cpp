#include "ssa/csc/sign_doc.h"

#include <gtest/gtest.h>

#include "crypto/cms.h"
#include "ssa/signed_attributes.h"
#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;
using test::World;

constexpr const char* sign_doc = "/csc/v2/signatures/signDoc";
constexpr const char* sha256_oid = "2.16.840.1.101.3.4.2.1";
constexpr auto sha256 = crypto::HashAlgorithm::sha256;

class SignDocTest : public testing::Test {
 protected:
  SignDocTest() { world.sam->signing_keys["bob-ec"] = world.bobs_key; }

  [[nodiscard]] crypto::Certificate certificate() const {
    return must(crypto::Certificate::parse_der(world.sam->facts("bob-ec").certificates.front()));
  }
  /// A SAD over the documents with these texts, approved by their own digests (`sdr`) on the page.
  [[nodiscard]] std::string sad(const std::vector<std::string>& texts) const {
    auto hashes = json::Value::array();
    for (const auto& text : texts) hashes.push_back(encode_base64(test::digest_of(text)));
    const json::Value body{{"credentialID", "bob-ec"},
                           {"numSignatures", texts.size()},
                           {"hashes", hashes},
                           {"hashType", "SDR"},
                           {"hashAlgorithmOID", sha256_oid}};
    const auto told = must(json::parse(world.post("/csc/v2/credentials/authorize", body, "waiting").body));
    const auto address = told.at("approvalUri").get<std::string>();
    if (world.approve(world.page(address.substr(address.find('#') + 1))).status != 200) panic("not approved");
    json::Value ask = json::Value::object();
    ask["handle"] = told.at("handle");
    return must(json::parse(world.post("/csc/v2/credentials/authorizeCheck", ask, "waiting").body)).at("SAD").get<std::string>();
  }
  [[nodiscard]] static json::Value digests(const std::vector<std::string>& texts) {
    auto hashes = json::Value::array();
    for (const auto& text : texts) hashes.push_back(encode_base64(test::digest_of(text)));
    return {{"hashes", hashes}, {"signature_format", "P"}, {"signAlgo", "1.2.840.10045.4.3.2"}, {"hashAlgorithmOID", sha256_oid}};
  }
  [[nodiscard]] static json::Value request(const std::string& sad, const std::vector<std::string>& texts) {
    return {{"credentialID", "bob-ec"}, {"SAD", sad}, {"documentDigests", json::Value::array({digests(texts)})}};
  }
  [[nodiscard]] http::Response post(const json::Value& body) const { return world.post(sign_doc, body, "waiting"); }
  void expect_refused(const http::Response& answer, std::string_view description, unsigned status = 400,
                      std::string_view error = "invalid_request") const {
    EXPECT_EQ(answer.status, status) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("error"), error);
    EXPECT_EQ(body.at("error_description"), description);
  }
  World world;
};

TEST_F(SignDocTest, GivesACmsForEachDocumentInTheOrderOfTheRequest) {
  const auto answer = post(request(sad({"one", "two"}), {"two", "one"}));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto body = must(json::parse(answer.body));
  ASSERT_EQ(body.at("SignatureObject").size(), 2U);
  EXPECT_EQ(body.at("auditReceipts").size(), 2U);
  EXPECT_FALSE(body.contains("DocumentWithSignature"));
  const std::vector<std::string> order{"two", "one"};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto cms = must(parse_base64(body.at("SignatureObject")[i].get<std::string>()));
    const auto verified = crypto::verify_cms_detached(cms, test::digest_of(order[i]), {certificate()}, world.clock->now());
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_EQ(verified->signer.der(), world.sam->facts("bob-ec").certificates.front());
  }
}

TEST_F(SignDocTest, TheSignerApprovesWhatIsSigned) {
  (void)post(request(sad({"one"}), {"one"}));
  ASSERT_TRUE(world.sam->last_sign);
  const auto attributes = must(signed_attributes(certificate(), sha256, test::digest_of("one")));
  EXPECT_EQ(world.sam->last_sign->digests, std::vector<Bytes>{attributes.digest});
}

TEST_F(SignDocTest, SignsNoDocumentThatWasNotApproved) {
  expect_refused(post(request(sad({"one"}), {"two"})), "documentDigests or documents are not authorized by the SAD.");
  EXPECT_EQ(world.sam->signs, 0U);
  // Approved as what is signed, a digest is no document's.
  expect_refused(post(request(world.sad("bob-ec", {"one"}, "waiting"), {"one"})),
                 "documentDigests or documents are not authorized by the SAD.");
  // And the digest of a document is not what was approved.
  const auto approved = sad({"one"});
  expect_refused(world.sign("bob-ec", approved, {"one"}, "waiting"), "Hash is not authorized by the SAD.");
  EXPECT_EQ(world.sam->signs, 0U);
}

TEST_F(SignDocTest, SignsADocumentOnceForEachTimeItWasApproved) {
  const auto twice = sad({"one", "one"});
  EXPECT_EQ(post(request(twice, {"one"})).status, 200U);
  EXPECT_EQ(post(request(twice, {"one"})).status, 200U);
  expect_refused(post(request(twice, {"one"})), "Invalid parameter SAD");
}

TEST_F(SignDocTest, PassesNoSignatureOnThatIsNotOfTheCertificate) {
  world.sam->signing_keys["bob-ec"] = must(crypto::SoftwareKey::generate());
  expect_refused(post(request(sad({"one"}), {"one"})), "The service met an unexpected condition", 500, "server_error");
}

TEST_F(SignDocTest, TakesABareTextForHashesAndAnyCaseOfTheLevel) {
  auto body = request(sad({"one"}), {"one"});
  auto& element = body["documentDigests"][0];
  element["hashes"] = encode_base64(test::digest_of("one"));
  element["conformance_level"] = "Ades-B-B";
  element["signed_envelope_property"] = "Revision";
  element["signed_props"] = json::Value::array();
  body["documents"] = nullptr;
  body["returnValidationInfo"] = true;
  body["operationMode"] = "S";
  EXPECT_EQ(post(body).status, 200U);
}

TEST_F(SignDocTest, RefusesEveryRowOfTheTable) {
  const auto right = request(sad({"one"}), {"one"});
  struct Row {
    const char* change;  ///< merge patch of the request, or of its one element when it starts with '+'
    const char* description;
  };
  const std::vector<Row> rows{
      {R"({"SAD":null})", "Missing (or invalid type) string parameter SAD"},
      {R"({"SAD":"x.y.z"})", "Invalid parameter SAD"},
      {R"({"credentialID":null})", "Missing (or invalid type) string parameter credentialID"},
      {R"({"credentialID":"nobody"})", "Invalid parameter credentialID"},
      {R"({"credentialID":"a b"})", "Invalid parameter credentialID"},
      {R"({"signatureQualifier":"eu_eidas_qes"})", "Invalid parameter signatureQualifier"},
      {R"({"documentDigests":{}})", "Invalid object parameter documentDigests"},
      {R"({"documentDigests":["x"]})", "Invalid object parameter documentDigests"},
      {R"({"documentDigests":null})", "Empty documentDigests and documents objects"},
      {R"({"documentDigests":[]})", "Empty documentDigests and documents objects"},
      {R"({"documents":"x"})", "Invalid array parameter documents"},
      {R"({"documents":[{"document":"AAAA"}]})", "Both documentDigests and documents parameters passed"},
      {R"({"documentDigests":null,"documents":["x"]})", "Invalid array parameter documents"},
      {R"({"documentDigests":null,"documents":[{"document":5}]})", "Invalid array parameter documents"},
      {R"({"documentDigests":null,"documents":[{"document":"!!"}]})", "Invalid Base64 documents string parameter"},
      {R"({"documentDigests":null,"documents":[{"document":"AAAA"}]})", "Missing (or invalid type) string parameter signature_format"},
      {R"({"documentDigests":null,"documents":[{"document":"AAAA","signature_format":"P"}]})",
       "documentDigests or documents are not authorized by the SAD."},
      {R"({"operationMode":"B"})", "Invalid parameter operationMode"},
      {R"({"operationMode":"A","validity_period":0})", "Out of bounds parameter validity_period"},
      {R"({"operationMode":"A","response_uri":"https://client.example"})", "Invalid parameter response_uri"},
      {R"({"clientData":5})", "Invalid parameter clientData"},
      {R"(+{"hashes":null})", "Invalid object parameter documentDigests"},
      {R"(+{"hashes":[]})", "Invalid object parameter documentDigests"},
      {R"(+{"hashes":[5]})", "Invalid object parameter documentDigests"},
      {R"(+{"hashes":["AAAA"]})", "Invalid digest value length"},
      {R"(+{"hashes":["47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="]})", "Invalid Base64 hashes string parameter"},
      {R"(+{"signature_format":null})", "Missing (or invalid type) string parameter signature_format"},
      {R"(+{"signature_format":5})", "Missing (or invalid type) string parameter signature_format"},
      {R"(+{"signature_format":"C"})", "Invalid parameter signature_format"},
      {R"(+{"conformance_level":"AdES-B-T"})", "Invalid parameter conformance_level"},
      {R"(+{"signed_envelope_property":"Attached"})", "Invalid parameter signed_envelope_property"},
      {R"(+{"signed_props":[{"attribute_name":"Reason","attribute_value":"AAAA"},{"attribute_name":5}]})",
       "Invalid parameter signed_props (Reason, ?)"},
      {R"(+{"signed_props":{}})", "Invalid parameter signed_props"},
      {R"(+{"signAlgo":null})", "Missing (or invalid type) string parameter signAlgo"},
      {R"(+{"signAlgo":"1.2.3"})", "Invalid parameter signAlgo"},
      {R"(+{"signAlgo":"1.2.840.113549.1.1.10"})", "Missing (or invalid type) string parameter signAlgoParams"},
      {R"(+{"signAlgo":"1.2.840.10045.2.1","hashAlgorithmOID":null})", "Missing (or invalid type) string parameter hashAlgorithmOID"},
      {R"(+{"hashAlgorithmOID":"1.2.3"})", "Invalid parameter hashAlgorithmOID"},
      {R"(+{"hashAlgorithmOID":"2.16.840.1.101.3.4.2.3"})", "String parameter hashAlgorithmOID contradicts with signAlgo parameter"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.change);
    auto body = right;
    const bool of_element = *row.change == '+';
    auto& target = of_element ? body["documentDigests"][0] : body;
    target.merge_patch(must(json::parse(of_element ? row.change + 1 : row.change)));
    expect_refused(post(body), row.description);
  }
  auto mixed = right;
  mixed["documentDigests"].push_back(digests({"two"}));
  mixed["documentDigests"][1]["signAlgo"] = "1.2.840.113549.1.1.11";
  expect_refused(post(mixed), "Invalid parameter signAlgo");
  expect_refused(world.post(sign_doc, right, "only-alice"), "Invalid parameter credentialID");
  EXPECT_EQ(world.sam->signs, 0U);
  EXPECT_EQ(post(right).status, 200U) << "the request that every row changes is right";
}

TEST_F(SignDocTest, NamesAnExpiredCertificate) {
  const auto body = request(sad({"one"}), {"one"});
  auto& facts = world.sam->facts("bob-ec");
  facts.certificates = {test::make_certificate("Builders", "Bob", world.clock->now() - std::chrono::hours{48},
                                               world.clock->now() - std::chrono::hours{24}, world.bobs_key)};
  world.service->credential_changed(facts.key);
  // Another certificate is another message: nothing of it was approved.
  EXPECT_EQ(post(body).status, 400U);
  EXPECT_EQ(world.sam->signs, 0U);
  facts.certificates.clear();
  world.service->credential_changed(facts.key);
  expect_refused(post(body), "Invalid certificate status");
}

}  // namespace
}  // namespace intaglio::ssa::csc
