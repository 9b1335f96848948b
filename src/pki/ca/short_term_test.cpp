#include <gtest/gtest.h>

#include "pki/ca/extensions.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using testing::Material;
using testing::TestPki;

/// What a session of the SAM's shows of its key; a test spoils one member.
struct Shown {
  json::Value assertion;
  Bytes csr;
  std::string typ = "intaglio-one-time-key+jwt";
  std::shared_ptr<crypto::SoftwareKey> signer;
};

class ShortTerm : public ::testing::Test {
 protected:
  Shown good() {
    const Material material = pki.good();
    Shown shown;
    shown.csr = material.csr;
    shown.signer = pki.sam_key;
    shown.assertion = {{"signer", "a-pseudonym"},
                       {"key", material.assertion["key"]},
                       {"spki_sha256", encode_base64url(material.key->public_key().thumbprint())},
                       {"csr_sha256", encode_base64url(crypto::sha256(material.csr))},
                       {"identity", material.request["identity"]},
                       {"profile", "natural-person-short-term"},
                       {"session", encode_base64url(crypto::sha256(as_bytes("a session")))},
                       {"iat", unix_seconds(pki.clock->now())}};
    return shown;
  }
  Result<crypto::Certificate> issue(const Shown& shown) {
    const auto assertion = *crypto::make_jws(*shown.signer, shown.typ, "sam", json::encode(shown.assertion));
    return pki.authority->issue_short_term({assertion, shown.csr});
  }
  void expect_refused(ErrorCode code, const std::function<void(Shown&)>& spoil) {
    const auto before = pki.count("pki_certificate");
    auto shown = good();
    spoil(shown);
    const auto certificate = issue(shown);
    ASSERT_FALSE(certificate);
    EXPECT_EQ(certificate.error().code, code) << certificate.error().detail;
    EXPECT_EQ(pki.count("pki_certificate"), before);
  }
  TestPki pki;
};

TEST_F(ShortTerm, CertifiesAOneTimeKeyOnTheSamsWordForAnHourWithoutRevocationData) {
  const auto shown = good();
  const auto certificate = issue(shown);
  ASSERT_TRUE(certificate) << certificate.error().detail;
  EXPECT_TRUE(crypto::verify_chain(*certificate, {pki.issuing->certificate}, {pki.root->certificate}, pki.clock->now()));
  const auto facts = crypto::inspect(*certificate);
  ASSERT_TRUE(facts);
  ASSERT_NE(facts->extension(oid_short_term), nullptr);
  EXPECT_FALSE(facts->extension(oid_short_term)->critical);
  EXPECT_TRUE(facts->crl_distribution_points.empty());
  EXPECT_TRUE(facts->ocsp_addresses.empty());
  EXPECT_FALSE(facts->ca_issuers.empty());
  EXPECT_EQ(facts->not_after - facts->not_before, std::chrono::hours(1) - std::chrono::seconds(1));
  EXPECT_EQ(certificate->subject_attribute(oid_serial_number), "PNONO-01017012345");
  EXPECT_NE(pki.events().find("certificate.issued"), std::string::npos);
}

TEST_F(ShortTerm, CertifiesAKeyOnce) {
  const auto shown = good();
  ASSERT_TRUE(issue(shown));
  EXPECT_EQ(issue(shown).error().code, ErrorCode::conflict);
}

TEST_F(ShortTerm, BelievesNobodyButTheSam) {
  expect_refused(ErrorCode::not_authorised, [](Shown& s) { s.signer = *crypto::SoftwareKey::generate(); });
  expect_refused(ErrorCode::not_authorised, [&](Shown& s) { s.signer = pki.operator_key; });
  expect_refused(ErrorCode::not_authorised, [](Shown& s) { s.typ = "intaglio-key+jwt"; });
}
TEST_F(ShortTerm, BelievesNoAssertionOfAnotherMoment) {
  expect_refused(ErrorCode::not_authorised, [](Shown& s) { s.assertion["iat"] = s.assertion["iat"].get<std::int64_t>() - 301; });
  expect_refused(ErrorCode::not_authorised, [](Shown& s) { s.assertion["iat"] = s.assertion["iat"].get<std::int64_t>() + 61; });
}
TEST_F(ShortTerm, CertifiesNoOtherKeyThanTheAssertedOne) {
  expect_refused(ErrorCode::not_authorised, [](Shown& s) {
    s.assertion["spki_sha256"] = encode_base64url((*crypto::SoftwareKey::generate())->public_key().thumbprint());
  });
}
TEST_F(ShortTerm, CertifiesNoOtherRequestThanTheAssertedOne) {
  expect_refused(ErrorCode::not_authorised,
                 [](Shown& s) { s.assertion["csr_sha256"] = encode_base64url(crypto::sha256(as_bytes("another"))); });
}
TEST_F(ShortTerm, CertifiesNobodyElseThanTheRequestNames) {
  expect_refused(ErrorCode::not_authorised, [](Shown& s) { s.assertion["identity"]["surname"] = "Another"; });
}
TEST_F(ShortTerm, HasNoLongLivedProfiles) {
  expect_refused(ErrorCode::unsupported, [](Shown& s) { s.assertion["profile"] = "natural-person"; });
  expect_refused(ErrorCode::unsupported, [](Shown& s) { s.assertion["profile"] = "none"; });
}
TEST_F(ShortTerm, WaitsForATrustworthyClock) {
  pki.clock->lose_synchronisation();
  expect_refused(ErrorCode::clock_unsynchronised, [](Shown&) {});
}
TEST_F(ShortTerm, IsNotForKeysThatStay) {
  auto material = pki.good();
  material.request["profile"] = "natural-person-short-term";
  const auto certificate = pki.issue(material);
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().code, ErrorCode::unsupported);
}
TEST_F(ShortTerm, LastsADayAtMost) {
  const auto text = [](const std::string& validity) {
    return R"({"subject":["countryName","givenName","surname","commonName","serialNumber"],"serial_number":"natural","key_algorithms":["p256"],)" +
           validity +
           R"(,"key_usage":["nonRepudiation"],"extended_key_usage":[],"policies":[{"oid":"2.999.1"}],"qc_statements":{"semantics":true,)"
           R"("compliance":false,"sscd":false,"types":[],"pds":[]}})";
  };
  EXPECT_TRUE(parse_profile("p", text("\"short_term_minutes\":1440"), false));
  EXPECT_FALSE(parse_profile("p", text("\"short_term_minutes\":1441"), false));
  EXPECT_FALSE(parse_profile("p", text("\"short_term_minutes\":60,\"validity_days\":1"), false));
}

}  // namespace
}  // namespace intaglio::pki
