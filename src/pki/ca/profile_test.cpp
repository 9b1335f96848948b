#include "pki/ca/profile.h"

#include <gtest/gtest.h>

#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"
#include "pki/ca/identity.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

/// A good profile with one member replaced, or added.
std::string profile_with(const std::string& member, const std::string& value_json) {
  json::Value profile = *json::parse(R"({"subject": ["countryName", "givenName", "surname", "commonName", "serialNumber"],
    "serial_number": "natural-or-opaque", "key_algorithms": ["p256"], "validity_days": 730, "key_usage": ["nonRepudiation"],
    "extended_key_usage": [], "policies": [{"oid": "2.999.1"}],
    "qc_statements": {"semantics": true, "compliance": false, "sscd": false, "types": [], "retention_years": null, "pds": []}})");
  if (!member.empty()) profile[member] = *json::parse(value_json);
  return json::encode(profile);
}

TEST(Profiles, OfTheDistributionAreReadAndClaimNothing) {
  const auto profiles = load_profiles(std::string(INTAGLIO_SOURCE_DIR) + "/deploy/profiles", false);
  ASSERT_TRUE(profiles) << profiles.error().detail;
  ASSERT_TRUE(profiles->contains("natural-person"));
  for (const auto& [name, profile] : *profiles) {
    EXPECT_FALSE(profile.qc.compliance) << name;
    EXPECT_FALSE(profile.qc.sscd) << name;
  }
  EXPECT_EQ(profiles->at("natural-person").key_usage, std::vector<std::string>{"nonRepudiation"});
}

TEST(Profiles, AreRefusedWithTheirNameWhenSomethingIsNotKnown) {
  EXPECT_TRUE(parse_profile("p", profile_with("", ""), false));
  const std::vector<std::pair<std::string, std::string>> spoiled = {
      {"surprise", "1"},
      {"subject", R"(["favouriteColour"])"},
      {"subject", R"("countryName")"},
      {"serial_number", R"("whatever")"},
      {"subject", R"(["countryName", "givenName", "surname", "commonName"])"},
      {"subject", R"(["countryName", "givenName", "surname", "commonName", "serialNumber", "serialNumber"])"},
      {"subject", R"(["countryName", "organizationName", "organizationIdentifier", "commonName"])"},
      {"key_algorithms", R"(["rsa1024"])"},
      {"validity_days", "0"},
      {"key_usage", "[]"},
      {"key_usage", R"(["signEverything"])"},
      {"extended_key_usage", R"(["not.an.oid"])"},
      {"policies", "[]"},
      {"policies", R"([{"oid": "9.1"}])"},
      {"policies", R"([{"oid": "2.999.1", "claim": "x"}])"},
      {"qc_statements", "7"},
      {"qc_statements",
       R"({"semantics": true, "compliance": false, "sscd": false, "types": ["royal"], "retention_years": null, "pds": []})"},
      {"qc_statements", R"({"semantics": true, "compliance": "no", "sscd": false, "types": [], "retention_years": null, "pds": []})"}};
  for (const auto& [member, value] : spoiled) {
    const auto refused = parse_profile("p", profile_with(member, value), false);
    ASSERT_FALSE(refused) << member << " " << value;
    EXPECT_EQ(refused.error().code, ErrorCode::configuration);
    EXPECT_NE(refused.error().detail.find("profile p"), std::string::npos);
  }
}

TEST(Profiles, MayClaimQualificationOnlyForAQualifiedAuthority) {
  const std::string claims = R"({"semantics": true, "compliance": true, "sscd": true, "types": ["esign"], "retention_years": 10,
    "pds": [{"url": "https://pki.example/en.pdf", "language": "en"}]})";
  EXPECT_FALSE(parse_profile("p", profile_with("qc_statements", claims), false));
  EXPECT_TRUE(parse_profile("p", profile_with("qc_statements", claims), true));
}

TEST(Profiles, StateTheTypeOfTheirKindOfPerson) {
  const auto stating = [](const std::string& type, bool compliance) {
    return R"({"semantics": true, "compliance": )" + std::string(compliance ? "true" : "false") + R"(, "sscd": false, "types": [)" + type +
           R"(], "retention_years": null, "pds": [{"url": "https://pki.example/en.pdf", "language": "en"}]})";
  };
  EXPECT_TRUE(parse_profile("p", profile_with("qc_statements", stating(R"("esign")", true)), true));
  EXPECT_FALSE(parse_profile("p", profile_with("qc_statements", stating(R"("eseal")", true)), true));
  const auto of_an_organisation = [&](const std::string& type) {
    json::Value profile = *json::parse(profile_with("qc_statements", stating(type, true)));
    profile["subject"] = {"countryName", "organizationName", "organizationIdentifier", "commonName"};
    profile.erase("serial_number");
    return parse_profile("p", json::encode(profile), true);
  };
  EXPECT_TRUE(of_an_organisation(R"("eseal")"));
  EXPECT_FALSE(of_an_organisation(R"("esign")"));
  EXPECT_FALSE(of_an_organisation("")) << "a qualified seal says that it is one";
}

TEST(Profiles, AFolderWithoutOneIsRefused) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(load_profiles(folder / "", false));
  EXPECT_FALSE(load_profiles(folder / "absent", false));
}

TEST(Identities, AreNamesCountryAndSerialNumberAndNothingElse) {
  const json::Value good = {
      {"givenName", "Ελένη"}, {"surname", "Παπαδοπούλου"}, {"country", "GR"}, {"serialNumber", "PNOGR-123"}, {"email", "e@example.gr"}};
  const auto identity = Identity::parse(good);
  ASSERT_TRUE(identity) << identity.error().detail;
  EXPECT_EQ(identity->attribute(oid_common_name), "Ελένη Παπαδοπούλου");
  EXPECT_EQ(identity->person, Person::natural);
  EXPECT_EQ(identity->digest, crypto::sha256(as_bytes(json::encode(good))));
  for (const auto& [member, value] : std::vector<std::pair<std::string, std::string>>{{"country", "gr"},
                                                                                      {"country", "GRC"},
                                                                                      {"givenName", ""},
                                                                                      {"surname", std::string(65, 'a')},
                                                                                      {"givenName", "a\nb"},
                                                                                      {"serialNumber", "é"},
                                                                                      {"role", "king"}}) {
    json::Value bad = good;
    bad[member] = value;
    EXPECT_FALSE(Identity::parse(bad)) << member << "=" << value;
  }
}

TEST(Identities, MayBeOfAnOrganisationOrOfSomebodyWhoActsForIt) {
  const json::Value organisation = {{"organizationName", "Eksempel AS"}, {"organizationIdentifier", "NTRNO-123456789"}, {"country", "NO"}};
  const auto legal = Identity::parse(organisation);
  ASSERT_TRUE(legal) << legal.error().detail;
  EXPECT_EQ(legal->person, Person::legal);
  EXPECT_EQ(legal->attribute(oid_common_name), "Eksempel AS");
  EXPECT_EQ(legal->semantics(), oid_legal_semantics);
  json::Value both = organisation;
  both.update({{"givenName", "Kari"}, {"surname", "Nordmann"}, {"serialNumber", "PNONO-1"}});
  const auto representative = Identity::parse(both);
  ASSERT_TRUE(representative) << representative.error().detail;
  EXPECT_EQ(representative->person, Person::representative);
  EXPECT_EQ(representative->attribute(oid_common_name), "Kari Nordmann");
  EXPECT_EQ(representative->semantics(), oid_natural_semantics);
  for (const auto* missing : {"organizationName", "organizationIdentifier", "country"}) {
    json::Value bad = organisation;
    bad.erase(missing);
    EXPECT_FALSE(Identity::parse(bad)) << missing;
  }
  for (const auto* missing : {"organizationName", "organizationIdentifier", "givenName", "surname", "serialNumber"}) {
    json::Value bad = both;
    bad.erase(missing);
    EXPECT_FALSE(Identity::parse(bad)) << missing;
  }
  for (const auto* identifier : {"123456789", "XXXNO-1", "NTRno-1", "NTRNO-", ""}) {
    json::Value bad = organisation;
    bad["organizationIdentifier"] = identifier;
    EXPECT_FALSE(Identity::parse(bad)) << identifier;
  }
}

TEST(Identities, TellNaturalSemanticsFromOpaqueNumbers) {
  for (const auto* good : {"PNOGR-123", "TINBE-12345678", "PASSK-P3000180", "IDCBE-590082394654"})
    EXPECT_TRUE(is_natural_semantics(good)) << good;
  for (const auto* bad : {"PNOGR123", "ABCGR-123", "PNOgr-123", "PNOGR-", "123", ""}) EXPECT_FALSE(is_natural_semantics(bad)) << bad;
}

TEST(Extensions, ReadBackAsTheyWereWritten) {
  const auto key = *crypto::SoftwareKey::generate();
  const QcProfile qc{true, true, true, {"esign"}, 10, {{"https://pki.example/en.pdf", "en"}, {"https://pki.example/el.pdf", "el"}}};
  const Bytes name = *crypto::encode_name({{"2.5.4.3", "x"}});
  const auto certificate =
      sign_certificate({*random_serial(),
                        name,
                        name,
                        *parse_utc("2026-01-01T00:00:00Z"),
                        *parse_utc("2060-01-01T00:00:00Z"),
                        key->public_key().spki(),
                        {key_usage({"digitalSignature", "nonRepudiation", "decipherOnly"}), subject_key_identifier(key->public_key()),
                         authority_key_identifier(Bytes(20, 7)), basic_constraints(3),
                         certificate_policies({{"2.999.1", {"https://pki.example/cps"}}, {"2.999.2", {}}}),
                         extended_key_usage({"1.3.6.1.5.5.7.3.9"}), crl_distribution_point("http://a/b.crl"),
                         authority_information_access("http://o", "http://c"), ocsp_no_check(), *qc_statements(qc, oid_natural_semantics)}},
                       *key);
  ASSERT_TRUE(certificate) << certificate.error().detail;
  const auto facts = crypto::inspect(*certificate);
  ASSERT_TRUE(facts) << facts.error().detail;
  EXPECT_EQ(*facts->key_usage, (std::vector<std::string>{"digitalSignature", "nonRepudiation", "decipherOnly"}));
  EXPECT_EQ(facts->subject_key_id, key_identifier(key->public_key()));
  EXPECT_EQ(facts->authority_key_id, Bytes(20, 7));
  EXPECT_EQ(facts->is_ca, true);
  EXPECT_EQ(facts->path_length, 3);
  ASSERT_EQ(facts->policies.size(), 2U);
  EXPECT_EQ(facts->policies[0].cps, std::vector<std::string>{"https://pki.example/cps"});
  EXPECT_EQ(facts->extended_key_usage, std::vector<std::string>{"1.3.6.1.5.5.7.3.9"});
  EXPECT_EQ(facts->crl_distribution_points, std::vector<std::string>{"http://a/b.crl"});
  EXPECT_EQ(facts->ocsp_addresses, std::vector<std::string>{"http://o"});
  EXPECT_EQ(facts->ca_issuers, std::vector<std::string>{"http://c"});
  EXPECT_EQ(facts->qc.semantics, "0.4.0.194121.1.1");
  EXPECT_EQ(facts->qc.types, std::vector<std::string>{"0.4.0.1862.1.6.1"});
  EXPECT_EQ(facts->qc.retention_years, 10U);
  EXPECT_EQ(facts->qc.disclosures.size(), 2U);
  EXPECT_TRUE(facts->qc.states(oid_qc_compliance));
  EXPECT_TRUE(facts->qc.states(oid_qc_sscd));
  EXPECT_FALSE(facts->utc_times) << "2060 is a GeneralizedTime";
  EXPECT_EQ(facts->serial.size(), 20U);
}

TEST(Extensions, WithoutAnythingToStateHaveNoQcStatements) {
  EXPECT_FALSE(qc_statements(QcProfile{true, false, false, {}, std::nullopt, {}}, std::nullopt));
  EXPECT_TRUE(qc_statements(QcProfile{true, false, false, {}, std::nullopt, {}}, oid_natural_semantics));
  EXPECT_FALSE(qc_statements(QcProfile{false, false, false, {}, std::nullopt, {}}, oid_natural_semantics));
}

TEST(SerialNumbers, AreTwentyPositiveOctetsThatDiffer) {
  const Bytes first = *random_serial();
  EXPECT_EQ(first.size(), 20U);
  EXPECT_EQ(first.front() & 0xC0, 0x40);
  EXPECT_NE(first, *random_serial());
}

}  // namespace
}  // namespace intaglio::pki
