#include "ssa/csc/algorithms.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace intaglio::ssa::csc {
namespace {

using crypto::SignatureSuite;

// From a certificate that OpenSSL 3.0 signed: openssl req -x509 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32.
constexpr const char* openssl_pss_sha256 = "MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEFAKIDAgEg";

std::string refusal_text(const AlgorithmChoice& choice) {
  const auto chosen = choose_suite(choice);
  const auto* refusal = std::get_if<Refusal>(&chosen);
  return refusal == nullptr ? "" : refusal->description;
}
std::optional<SignatureSuite> suite(const AlgorithmChoice& choice) {
  const auto chosen = choose_suite(choice);
  if (const auto* found = std::get_if<SignatureSuite>(&chosen)) return *found;
  return std::nullopt;
}

TEST(Algorithms, ExactSchemesNeedNoHashBesideThem) {
  EXPECT_EQ(suite({"1.2.840.113549.1.1.11", {}, {}}), SignatureSuite::rsa_pkcs1_sha256);
  EXPECT_EQ(suite({"1.2.840.113549.1.1.12", {}, {}}), SignatureSuite::rsa_pkcs1_sha384);
  EXPECT_EQ(suite({"1.2.840.113549.1.1.13", "", {}}), SignatureSuite::rsa_pkcs1_sha512);
  EXPECT_EQ(suite({"1.2.840.10045.4.3.2", {}, {}}), SignatureSuite::ecdsa_sha256);
  EXPECT_EQ(suite({"1.2.840.10045.4.3.3", {}, {}}), SignatureSuite::ecdsa_sha384);
  EXPECT_EQ(suite({"1.2.840.10045.4.3.4", {}, "2.16.840.1.101.3.4.2.3"}), SignatureSuite::ecdsa_sha512);
}

TEST(Algorithms, BareKeyAlgorithmsTakeTheHashBesideThem) {
  EXPECT_EQ(suite({"1.2.840.113549.1.1.1", {}, "2.16.840.1.101.3.4.2.1"}), SignatureSuite::rsa_pkcs1_sha256);
  EXPECT_EQ(suite({"1.2.840.113549.1.1.1", "BQA=", "2.16.840.1.101.3.4.2.3"}), SignatureSuite::rsa_pkcs1_sha512);
  EXPECT_EQ(suite({"1.2.840.10045.2.1", {}, "2.16.840.1.101.3.4.2.2"}), SignatureSuite::ecdsa_sha384);
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.1", {}, {}}), "Missing (or invalid type) string parameter hashAlgorithmOID");
  EXPECT_EQ(refusal_text({"1.2.840.10045.2.1", {}, {}}), "Missing (or invalid type) string parameter hashAlgorithmOID");
}

TEST(Algorithms, PssIsTakenAsOpensslWritesIt) {
  EXPECT_EQ(encode_base64(pss_parameters(crypto::HashAlgorithm::sha256)), openssl_pss_sha256);
  EXPECT_EQ(suite({"1.2.840.113549.1.1.10", openssl_pss_sha256, {}}), SignatureSuite::rsa_pss_sha256);
  EXPECT_EQ(suite({"1.2.840.113549.1.1.10", encode_base64(pss_parameters(crypto::HashAlgorithm::sha512)), "2.16.840.1.101.3.4.2.3"}),
            SignatureSuite::rsa_pss_sha512);
}

TEST(Algorithms, PssIsTakenWithoutNullAndWithTheDefaultTrailerWritten) {
  // SEQUENCE { [0] { SEQUENCE { sha256 } } [1] { SEQUENCE { mgf1, SEQUENCE { sha256 } } } [2] { 32 } [3] { 1 } }
  const auto der =
      parse_hex("3035a00d300b0609608648016503040201a11a301806092a864886f70d010108300b0609608648016503040201a203020120a303020101");
  ASSERT_TRUE(der);
  EXPECT_EQ(suite({"1.2.840.113549.1.1.10", encode_base64(*der), {}}), SignatureSuite::rsa_pss_sha256);
}

TEST(Algorithms, PssWithAnotherSaltHashOrMaskIsRefused) {
  const auto salt_20 =
      parse_hex("3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020114");
  const auto salt_222 =
      parse_hex("3035a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a204020200de");
  const auto mask_sha1 = parse_hex("3030a00f300d06096086480165030402010500a118301606092a864886f70d010108300906052b0e03021a0500a203020120");
  const auto mask_sha384 =
      parse_hex("3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020120");
  const auto defaults = parse_hex("3000");
  for (const auto& der : {salt_20, salt_222, mask_sha1, mask_sha384, defaults}) {
    ASSERT_TRUE(der);
    EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.10", encode_base64(*der), {}}), "Invalid parameter signAlgoParams");
  }
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.10", std::string(openssl_pss_sha256) + "AA==", {}}), "Invalid parameter signAlgoParams");
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.10", "no base64", {}}), "Invalid parameter signAlgoParams");
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.10", {}, {}}), "Missing (or invalid type) string parameter signAlgoParams");
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.10", "", {}}), "Missing (or invalid type) string parameter signAlgoParams");
}

TEST(Algorithms, AHashThatContradictsTheSchemeIsRefused) {
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.11", {}, "2.16.840.1.101.3.4.2.3"}), "Invalid parameter hashAlgorithmOID");
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.10", openssl_pss_sha256, "2.16.840.1.101.3.4.2.2"}), "Invalid parameter hashAlgorithmOID");
}

TEST(Algorithms, WeakUnknownAndParameterisedSchemesAreRefused) {
  for (const auto* oid : {"1.2.840.113549.1.1.5", "1.2.840.113549.1.1.14", "1.2.840.10045.4.1", "1.2.3", "", "sha256WithRSAEncryption"}) {
    EXPECT_EQ(refusal_text({oid, {}, {}}), "Invalid parameter signAlgo") << oid;
  }
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.1", {}, "1.3.14.3.2.26"}), "Invalid parameter hashAlgorithmOID");
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.11", openssl_pss_sha256, {}}), "Invalid parameter signAlgoParams");
  EXPECT_EQ(refusal_text({"1.2.840.113549.1.1.1", "AQID", "2.16.840.1.101.3.4.2.1"}), "Invalid parameter signAlgoParams");
}

TEST(Algorithms, WhatIsOfferedForAKeyIsAcceptedAsSignAlgo) {
  const auto oids = algorithm_oids({SignatureSuite::rsa_pss_sha256, SignatureSuite::rsa_pkcs1_sha256, SignatureSuite::rsa_pkcs1_sha512});
  const std::vector<std::string> expected{"1.2.840.113549.1.1.10", "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11",
                                          "1.2.840.113549.1.1.13"};
  EXPECT_EQ(oids, expected);
  const auto offered = offered_algorithms();
  ASSERT_EQ(offered.algos.size(), offered.params.size());
  for (std::size_t i = 0; i < offered.algos.size(); ++i) {
    const bool bare = offered.algos[i] == "1.2.840.113549.1.1.1" || offered.algos[i] == "1.2.840.10045.2.1";
    const auto hash = bare ? std::optional<std::string>("2.16.840.1.101.3.4.2.1") : std::nullopt;
    EXPECT_TRUE(suite({offered.algos[i], offered.params[i], hash})) << offered.algos[i];
  }
}

}  // namespace
}  // namespace intaglio::ssa::csc
