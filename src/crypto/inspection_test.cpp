#include "crypto/inspection.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "crypto/der.h"

namespace intaglio::crypto {
namespace {

Certificate certificate(const std::string& name) {
  return *Certificate::parse_der(*read_file(std::string(INTAGLIO_SOURCE_DIR) + "/tests/data/revocation/" + name, 1 << 20));
}

TEST(Inspection, ReadsEveryMemberOfAnotherWritersCertificate) {
  const auto facts = inspect(certificate("leaf.cer"));
  ASSERT_TRUE(facts) << facts.error().detail;
  EXPECT_EQ(facts->version, 3);
  EXPECT_EQ(encode_hex(facts->serial), "0a0b");
  EXPECT_FALSE(facts->serial_negative);
  EXPECT_EQ(facts->signature_algorithm, "1.2.840.10045.4.3.2");
  EXPECT_EQ(facts->inner_signature_algorithm, facts->signature_algorithm);
  ASSERT_EQ(facts->subject.size(), 5U);
  EXPECT_EQ(facts->subject[0].oid, "2.5.4.6");
  EXPECT_EQ(facts->subject[0].string_tag, 19);
  EXPECT_EQ(facts->subject[1].value, "Kari");
  EXPECT_EQ(facts->subject[1].string_tag, 12);
  EXPECT_TRUE(facts->utc_times);
  EXPECT_EQ(*facts->key_usage, std::vector<std::string>{"nonRepudiation"});
  EXPECT_TRUE(facts->extension("2.5.29.15")->critical);
  EXPECT_EQ(encode_hex(*facts->authority_key_id), "c46b707ded37e72f3d93b4537f306b096e022207");
  EXPECT_EQ(encode_hex(*facts->subject_key_id), "57c28223b9c1d8b09886522ef96668f940436a4c");
  ASSERT_EQ(facts->policies.size(), 2U);
  EXPECT_EQ(facts->policies[0].oid, "2.999.1");
  EXPECT_EQ(facts->policies[1].cps, std::vector<std::string>{"https://pki.example/cps"});
  EXPECT_EQ(facts->crl_distribution_points, std::vector<std::string>{"http://pki.example/crl/issuing.crl"});
  EXPECT_EQ(facts->ocsp_addresses, std::vector<std::string>{"http://pki.example/ocsp"});
  EXPECT_EQ(facts->ca_issuers, std::vector<std::string>{"http://pki.example/ca/issuing.cer"});
  EXPECT_FALSE(facts->is_ca);
}

TEST(Inspection, ReadsQcStatements) {
  const auto facts = inspect(certificate("leaf.cer"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->qc.statements.size(), 5U);
  EXPECT_TRUE(facts->qc.states("0.4.0.1862.1.1"));
  EXPECT_FALSE(facts->qc.states("0.4.0.1862.1.4"));
  EXPECT_EQ(facts->qc.semantics, "0.4.0.194121.1.1");
  EXPECT_EQ(facts->qc.types, std::vector<std::string>{"0.4.0.1862.1.6.1"});
  ASSERT_EQ(facts->qc.disclosures.size(), 1U);
  EXPECT_EQ(facts->qc.disclosures[0].url, "https://pki.example/pds-en.pdf");
  EXPECT_EQ(facts->qc.disclosures[0].language, "en");
  EXPECT_EQ(facts->qc.retention_years, 10U);
}

TEST(Inspection, ReadsAnAuthority) {
  const auto facts = inspect(certificate("ca.cer"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->is_ca, true);
  EXPECT_FALSE(facts->path_length);
  EXPECT_EQ(*facts->key_usage, (std::vector<std::string>{"keyCertSign", "cRLSign"}));
  EXPECT_TRUE(facts->qc.statements.empty());
}

TEST(Names, AreReadInTheirOrder) {
  const std::vector<NameAttribute> written = {{"2.5.4.6", "GR"}, {"2.5.4.42", "Ελένη"}, {"2.5.4.5", "PNOGR-123"}};
  const auto read = parse_name(*encode_name(written));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ((*read)[1].oid, "2.5.4.42");
  EXPECT_EQ((*read)[1].value, "Ελένη");
}

TEST(Names, OfSeveralAttributesInOneSetAreRefused) {
  const Bytes country = der::sequence({der::oid("2.5.4.6"), der::printable("NO")});
  const Bytes name = der::sequence({der::oid("2.5.4.3"), der::utf8("a")});
  EXPECT_FALSE(parse_name(der::sequence({der::set_of({country, name})})));
  EXPECT_FALSE(parse_name({}));
  EXPECT_FALSE(parse_name(*parse_hex("300001")));
}

}  // namespace
}  // namespace intaglio::crypto
