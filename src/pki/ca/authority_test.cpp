#include "pki/ca/authority.h"

#include <gtest/gtest.h>

#include "pki/ca/extensions.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using testing::make_csr;
using testing::Material;
using testing::TestPki;

/// Refused with this code, and nothing was stored.
void expect_refused(TestPki& pki, ErrorCode code, const std::function<void(Material&)>& spoil) {
  const auto before = pki.count("pki_certificate");
  Material material = pki.good();
  spoil(material);
  const auto certificate = pki.issue(material);
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().code, code) << certificate.error().detail;
  EXPECT_EQ(pki.count("pki_certificate"), before);
}

class Issuance : public ::testing::Test {
 protected:
  TestPki pki;
};

/// Refusals leave a PKI as it was, so that they share one.
class Refused : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { shared = std::make_unique<TestPki>(); }
  static void TearDownTestSuite() { shared.reset(); }
  void expect_refused(ErrorCode code, const std::function<void(Material&)>& spoil) { pki::expect_refused(*shared, code, spoil); }
  inline static std::unique_ptr<TestPki> shared;
};

TEST_F(Issuance, GivesACertificateThatVerifiesUpToTheRoot) {
  const Material material = pki.good();
  const auto certificate = pki.issued(material);
  EXPECT_TRUE(crypto::verify_chain(certificate, {pki.issuing->certificate}, {pki.root->certificate}, pki.clock->now()));
  const auto facts = crypto::inspect(certificate);
  ASSERT_TRUE(facts);
  EXPECT_EQ(*facts->key_usage, std::vector<std::string>{"nonRepudiation"});
  EXPECT_EQ(facts->spki, material.key->public_key().spki());
  EXPECT_EQ(certificate.subject_attribute(oid_serial_number), "PNONO-01017012345");
  EXPECT_EQ(facts->subject.front().oid, oid_country) << "the order is the profile's, not the CSR's";
  EXPECT_EQ(facts->not_after - facts->not_before, std::chrono::days(730) - std::chrono::seconds(1));
  EXPECT_EQ(facts->crl_distribution_points.front(), "http://pki.example/crl/issuing.crl");
  EXPECT_FALSE(facts->qc.states(oid_qc_compliance));
}

/// A request for this person, whose CSR names what the record does.
Material about(const TestPki& pki, const json::Value& record, const std::string& profile) {
  Material material = pki.good();
  const Identity identity = *Identity::parse(record);
  std::vector<crypto::NameAttribute> subject;
  for (const auto& [oid, value] : identity.attributes) subject.push_back({oid, value});
  material.csr = make_csr(subject, *material.key);
  material.request["csr_sha256"] = encode_base64url(crypto::sha256(material.csr));
  material.request["identity"] = record;
  material.request["profile"] = profile;
  material.assertion["identity_sha256"] = encode_base64url(crypto::sha256(as_bytes(json::encode(record))));
  return material;
}

const json::Value company = {{"organizationName", "Eksempel AS"}, {"organizationIdentifier", "NTRNO-123456789"}, {"country", "NO"}};

json::Value representative() {
  json::Value record = company;
  record.update({{"givenName", "Kari"}, {"surname", "Nordmann"}, {"serialNumber", "PNONO-01017012345"}});
  return record;
}

TEST_F(Issuance, OfAnOrganisationStatesWhatItIsAndOfWhichRegister) {
  const auto seal = pki.issued(about(pki, company, "legal-person"));
  EXPECT_EQ(seal.subject_attribute(oid_organisation_identifier), "NTRNO-123456789");
  EXPECT_EQ(seal.subject_attribute(oid_common_name), "Eksempel AS");
  EXPECT_FALSE(seal.subject_attribute(oid_serial_number));
  EXPECT_EQ(crypto::inspect(seal)->qc.semantics, oid_legal_semantics);
  const auto signature = pki.issued(about(pki, representative(), "legal-representative"));
  EXPECT_EQ(signature.subject_attribute(oid_organisation), "Eksempel AS");
  EXPECT_EQ(signature.subject_attribute(oid_common_name), "Kari Nordmann");
  EXPECT_EQ(crypto::inspect(signature)->qc.semantics, oid_natural_semantics);
}

TEST_F(Issuance, IsUnderAProfileForSuchAPerson) {
  for (const auto& [record, profile] : std::vector<std::pair<json::Value, std::string>>{{company, "natural-person"},
                                                                                        {company, "legal-representative"},
                                                                                        {representative(), "natural-person"},
                                                                                        {representative(), "legal-person"},
                                                                                        {pki.good().request["identity"], "legal-person"}}) {
    const auto refused = pki.issue(about(pki, record, profile));
    ASSERT_FALSE(refused) << profile;
    EXPECT_EQ(refused.error().detail, "the profile is for another kind of person than the identity's");
  }
}

TEST_F(Issuance, IsAuditedWithTheCertificate) {
  const Material material = pki.good();
  const auto certificate = pki.issued(material);
  const auto events = pki.events();
  EXPECT_NE(events.find("certificate.issued"), std::string::npos);
  EXPECT_NE(events.find(certificate.serial_hex()), std::string::npos);
  EXPECT_NE(events.find(encode_base64url(certificate.fingerprint())), std::string::npos);
  EXPECT_EQ(events.find("Nordmann"), std::string::npos) << "personal data stays out of the tree";
}

TEST_F(Refused, ForAnUnknownOperator) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.request_kid = "ra-2"; });
}
TEST_F(Refused, ForAnotherKeyUnderAnOperatorsName) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.request_signer = *crypto::SoftwareKey::generate(); });
}
TEST_F(Refused, ForTheSamsKeyAsAnOperators) {
  expect_refused(ErrorCode::not_authorised, [&](Material& m) { m.request_signer = shared->sam_key; });
}
TEST_F(Refused, ForARequestOfAnotherKind) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.request_typ = "intaglio-key+jwt"; });
}
TEST_F(Refused, ForARequestForAnotherOperation) {
  expect_refused(ErrorCode::invalid_request, [](Material& m) { m.request["op"] = "revoke-certificate"; });
}
TEST_F(Refused, ForAnOldRequest) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.request["iat"] = m.request["iat"].get<std::int64_t>() - 301; });
}
TEST_F(Refused, ForARequestOfTheFuture) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.request["iat"] = m.request["iat"].get<std::int64_t>() + 301; });
}
TEST_F(Refused, ForARequestOfAnAbsurdTime) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.request["iat"] = std::numeric_limits<std::int64_t>::min(); });
}
TEST_F(Issuance, RefusesWhenTheClockIsNotSynchronised) {
  pki.clock->lose_synchronisation();
  expect_refused(pki, ErrorCode::clock_unsynchronised, [](Material&) {});
}

TEST_F(Issuance, TakesARequestOnce) {
  const Material material = pki.good();
  static_cast<void>(pki.issued(material));
  Material again = pki.good();
  again.request["rid"] = material.request["rid"];
  const auto refused = pki.issue(again);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::replayed);
  EXPECT_EQ(pki.count("pki_certificate"), 1U);
}

TEST_F(Issuance, TakesARequestOnceEvenWhenItWasRefused) {
  Material material = pki.good();
  material.request["profile"] = "no-such-profile";
  EXPECT_FALSE(pki.issue(material));
  material.request["profile"] = "natural-person";
  EXPECT_EQ(pki.issue(material).error().code, ErrorCode::replayed);
}

TEST_F(Issuance, ForgetsRequestsOnlyWhenTheirDateRefusesThem) {
  const Material material = pki.good();
  static_cast<void>(pki.issued(material));
  pki.clock->advance(std::chrono::minutes(9));
  EXPECT_TRUE(pki.gate->forget_old());
  EXPECT_EQ(pki.count("pki_request"), 1U);
  pki.clock->advance(std::chrono::minutes(2));
  EXPECT_TRUE(pki.gate->forget_old());
  EXPECT_EQ(pki.count("pki_request"), 0U);
  EXPECT_EQ(pki.issue(material).error().code, ErrorCode::not_authorised) << "too old by then";
}

TEST_F(Refused, ForAnAssertionOfAnotherSam) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.assertion_signer = *crypto::SoftwareKey::generate(); });
}
TEST_F(Refused, ForAnOperatorsWordAsTheSams) {
  expect_refused(ErrorCode::not_authorised, [&](Material& m) { m.assertion_signer = shared->operator_key; });
}
TEST_F(Refused, ForAStatementOfAnotherKindAsAssertion) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.assertion_typ = "intaglio-sap-key+jwt"; });
}
TEST_F(Refused, ForAnAssertionForAnotherSigner) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.assertion["signer"] = "ola"; });
}
TEST_F(Refused, ForAnAssertionForAnotherKeyName) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.assertion["key"] = "key-x"; });
}
TEST_F(Refused, ForAnAssertionForAnotherPublicKey) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) {
    m.assertion["spki_sha256"] = encode_base64url((*crypto::SoftwareKey::generate())->public_key().thumbprint());
  });
}
TEST_F(Refused, ForAnAssertionOverAnotherIdentity) {
  expect_refused(ErrorCode::not_authorised,
                 [](Material& m) { m.assertion["identity_sha256"] = encode_base64url(crypto::sha256(as_bytes("somebody"))); });
}
TEST_F(Refused, ForAnOldAssertion) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.assertion["iat"] = m.assertion["iat"].get<std::int64_t>() - 86401; });
}
TEST_F(Refused, ForAnAssertionOfTheFuture) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) { m.assertion["iat"] = m.assertion["iat"].get<std::int64_t>() + 61; });
}

TEST_F(Refused, ForACsrThatTheOperatorDidNotSee) {
  expect_refused(ErrorCode::not_authorised,
                 [](Material& m) { m.request["csr_sha256"] = encode_base64url(crypto::sha256(as_bytes("another"))); });
}
TEST_F(Refused, ForACsrWithoutProofOfPossession) {
  expect_refused(ErrorCode::invalid_request, [](Material& m) {
    m.csr.back() ^= 0x01;
    m.request["csr_sha256"] = encode_base64url(crypto::sha256(m.csr));
  });
}
TEST_F(Refused, ForACsrOfAnotherSubject) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) {
    m.csr = make_csr({{"2.5.4.6", "NO"}, {"2.5.4.42", "Ola"}, {"2.5.4.4", "Nordmann"}, {"2.5.4.5", "PNONO-01017012345"}}, *m.key);
    m.request["csr_sha256"] = encode_base64url(crypto::sha256(m.csr));
  });
}
TEST_F(Refused, ForACsrWithAnAttributeThatTheRecordDoesNotHold) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) {
    m.csr = make_csr(
        {{"2.5.4.6", "NO"}, {"2.5.4.42", "Kari"}, {"2.5.4.4", "Nordmann"}, {"2.5.4.5", "PNONO-01017012345"}, {"2.5.4.10", "Royal Court"}},
        *m.key);
    m.request["csr_sha256"] = encode_base64url(crypto::sha256(m.csr));
  });
}
TEST_F(Refused, ForACsrThatDoesNotNameTheWholePerson) {
  expect_refused(ErrorCode::not_authorised, [](Material& m) {
    m.csr = make_csr({{"2.5.4.6", "NO"}, {"2.5.4.42", "Kari"}, {"2.5.4.4", "Nordmann"}}, *m.key);
    m.request["csr_sha256"] = encode_base64url(crypto::sha256(m.csr));
  });
}
TEST_F(Refused, ForAMalformedIdentity) {
  expect_refused(ErrorCode::invalid_request, [](Material& m) { m.request["identity"]["country"] = "Norway"; });
}
TEST_F(Refused, ForAProfileThatDoesNotExist) {
  expect_refused(ErrorCode::unsupported, [](Material& m) { m.request["profile"] = "qualified"; });
}
TEST_F(Refused, ForMissingMembers) {
  for (const auto* member : {"signer", "key", "csr_sha256", "identity", "profile", "rid", "iat", "op"}) {
    expect_refused(ErrorCode::invalid_request, [&](Material& m) { m.request.erase(member); });
  }
  for (const auto* member : {"signer", "key", "spki_sha256", "identity_sha256", "iat"}) {
    expect_refused(ErrorCode::invalid_request, [&](Material& m) { m.assertion.erase(member); });
  }
}

TEST_F(Issuance, CertifiesAKeyOnce) {
  const Material first = pki.good();
  static_cast<void>(pki.issued(first));
  Material second = pki.good();
  second.key = first.key;
  second.csr = first.csr;
  second.request["csr_sha256"] = first.request["csr_sha256"];
  second.assertion["spki_sha256"] = first.assertion["spki_sha256"];
  const auto refused = pki.issue(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_EQ(pki.count("pki_certificate"), 1U);
  EXPECT_NE(pki.events().find("certificate.refused"), std::string::npos);
}

TEST_F(Issuance, RefusesAnAlgorithmOutsideTheProfile) {
  auto config = pki.authority_config();
  config.profiles.at("natural-person").key_algorithms = {crypto::KeyAlgorithm::rsa3072};
  pki.reconfigure(std::move(config));
  expect_refused(pki, ErrorCode::algorithm_refused, [](Material&) {});
}

crypto::AlgorithmPolicy policy_until(const std::string& certify, const std::string& sign) {
  return *crypto::AlgorithmPolicy::parse(R"({"id":"t","keys":[{"algorithm":"p256","generate_until":")" + certify +
                                         R"(","certify_until":")" + certify + R"(","sign_until":")" + sign +
                                         R"("}],"suites":[{"suite":"ecdsa-sha256","sign_until":")" + sign + R"("}]})");
}

TEST_F(Issuance, RefusesAKeyThatThePolicyCertifiesNoMore) {
  auto config = pki.authority_config();
  config.policy = policy_until("2026-11-19T00:00:00Z", "2028-12-31T23:59:59Z");
  pki.reconfigure(std::move(config));
  expect_refused(pki, ErrorCode::algorithm_refused, [](Material&) {});
}

TEST_F(Issuance, EndsACertificateWhenThePolicyEndsItsAlgorithm) {
  auto config = pki.authority_config();
  config.policy = policy_until("2026-12-31T23:59:59Z", "2027-06-30T23:59:59Z");
  pki.reconfigure(std::move(config));
  EXPECT_EQ(format_utc(pki.issued(pki.good()).not_after()), "2027-06-30T23:59:59Z");
}

TEST_F(Issuance, EndsACertificateWithItsIssuer) {
  pki.clock->advance(std::chrono::days(3650 - 10));
  auto config = pki.authority_config();
  config.policy = policy_until("2060-01-01T00:00:00Z", "2060-01-01T00:00:00Z");
  pki.reconfigure(std::move(config));
  EXPECT_EQ(pki.issued(pki.good()).not_after(), pki.issuing->certificate.not_after());
  pki.clock->advance(std::chrono::days(11));
  EXPECT_EQ(pki.issue(pki.good()).error().code, ErrorCode::certificate_invalid);
}

TEST_F(Issuance, LetsNothingLeaveThatTheLinterRefuses) {
  auto config = pki.authority_config();
  config.public_url = "ldap://pki.example";
  pki.reconfigure(std::move(config));
  expect_refused(pki, ErrorCode::invalid_request, [](Material&) {});
}

TEST_F(Issuance, WritesTheMixedProfileAsAsked) {
  Material material = pki.good();
  material.request["profile"] = "natural-person-mixed";
  EXPECT_EQ(*crypto::inspect(pki.issued(material))->key_usage, (std::vector<std::string>{"digitalSignature", "nonRepudiation"}));
}

class Revocation : public ::testing::Test {
 protected:
  TestPki pki;
  Material material = pki.good();
  crypto::Certificate certificate = pki.issued(material);
  std::string key = material.request["key"];
};

TEST_F(Revocation, IsRecordedWithItsReasonAndAudited) {
  EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "keyCompromise")));
  EXPECT_EQ(pki.count("pki_revocation"), 1U);
  const auto events = pki.events();
  EXPECT_NE(events.find("revocation.recorded"), std::string::npos);
  EXPECT_NE(events.find("keyCompromise"), std::string::npos);
}

TEST_F(Revocation, HappensOnce) {
  EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "superseded")));
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(certificate, key, "unspecified")).error().code, ErrorCode::conflict);
  EXPECT_EQ(pki.count("pki_revocation"), 1U);
}

TEST_F(Revocation, OfWhatIsOnHoldEndsTheHoldForGood) {
  ASSERT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "certificateHold")));
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(certificate, key, "certificateHold")).error().code, ErrorCode::conflict);
  ASSERT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "keyCompromise")));
  EXPECT_EQ(pki.authority->release(pki.release_request(certificate, key)).error().code, ErrorCode::conflict);
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(certificate, key, "certificateHold")).error().code, ErrorCode::conflict);
  EXPECT_EQ(pki.count("pki_revocation"), 1U);
  EXPECT_EQ(pki.count("pki_status_change"), 2U);
}

TEST_F(Revocation, IsLiftedOnlyFromAHoldByAnOperatorAndAudited) {
  EXPECT_EQ(pki.authority->release(pki.release_request(certificate, key)).error().code, ErrorCode::conflict) << "it is not revoked";
  EXPECT_EQ(pki.count("pki_status_change"), 0U);
  ASSERT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "certificateHold")));
  EXPECT_EQ(pki.authority->release(pki.release_request(certificate, "key-of-another")).error().code, ErrorCode::not_found);
  EXPECT_EQ(pki.authority->release(pki.revocation_request(certificate, key, "superseded")).error().code, ErrorCode::invalid_request)
      << "a request to revoke releases nothing";
  EXPECT_EQ(pki.count("pki_revocation"), 1U);
  const auto released = pki.authority->release(pki.release_request(certificate, key));
  ASSERT_TRUE(released);
  EXPECT_EQ(*released, certificate.serial_hex());
  EXPECT_EQ(pki.count("pki_revocation"), 0U);
  const auto events = pki.events();
  EXPECT_NE(events.find("certificateHold"), std::string::npos);
  EXPECT_NE(events.find("removeFromCRL"), std::string::npos);
  EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "certificateHold"))) << "it can be put on hold again";
}

TEST_F(Issuance, NamesTheDeltaListsWhereTheyAreMade) {
  EXPECT_EQ(crypto::inspect(pki.issued(pki.good()))->extension("2.5.29.46"), nullptr);
  auto config = pki.authority_config();
  config.freshest = "http://pki.example/crl/issuing-delta.crl";
  pki.reconfigure(std::move(config));
  const auto facts = crypto::inspect(pki.issued(pki.good()));
  const auto* freshest = facts->extension("2.5.29.46");
  ASSERT_NE(freshest, nullptr);
  EXPECT_FALSE(freshest->critical);
  EXPECT_NE(as_text(freshest->value).find("http://pki.example/crl/issuing-delta.crl"), std::string_view::npos);
}

TEST_F(Revocation, RefusesForeignKeysUnknownSerialsAndOtherReasons) {
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(certificate, "key-of-another", "superseded")).error().code, ErrorCode::not_found);
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(pki.issuing->certificate, key, "superseded")).error().code, ErrorCode::not_found);
  for (const auto* reason : {"removeFromCRL", "cACompromise", "aACompromise"}) {
    EXPECT_EQ(pki.authority->revoke(pki.revocation_request(certificate, key, reason)).error().code, ErrorCode::unsupported) << reason;
  }
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(certificate, key, "boredom")).error().code, ErrorCode::invalid_request);
  EXPECT_EQ(pki.count("pki_revocation"), 0U);
}

TEST_F(Revocation, NeedsAnOperator) {
  const auto stranger = *crypto::SoftwareKey::generate();
  const json::Value payload = {
      {"op", "revoke-certificate"},         {"rid", "r-x"},          {"iat", unix_seconds(pki.clock->now())}, {"key", key},
      {"serial", certificate.serial_hex()}, {"reason", "superseded"}};
  EXPECT_EQ(pki.authority->revoke(*crypto::make_jws(*stranger, "intaglio-ra+jwt", "ra-1", json::encode(payload))).error().code,
            ErrorCode::not_authorised);
  EXPECT_EQ(pki.authority->revoke("rubbish").error().code, ErrorCode::invalid_request);
  EXPECT_EQ(pki.count("pki_revocation"), 0U);
}

TEST_F(Revocation, DoesNotTouchTheRespondersCertificate) {
  const auto responder = pki.authority->responder_certificate(pki.ocsp_key->public_key());
  ASSERT_TRUE(responder);
  EXPECT_EQ(pki.authority->revoke(pki.revocation_request(*responder, "", "superseded")).error().code, ErrorCode::not_found);
}

TEST(ResponderCertificate, IsDelegatedByTheIssuingAuthorityAndKept) {
  TestPki pki;
  const auto certificate = pki.authority->responder_certificate(pki.ocsp_key->public_key());
  ASSERT_TRUE(certificate) << certificate.error().detail;
  EXPECT_TRUE(certificate->verify_issued_by(pki.issuing->certificate));
  const auto facts = crypto::inspect(*certificate);
  EXPECT_EQ(facts->extended_key_usage, std::vector<std::string>{std::string(oid_ocsp_signing)});
  EXPECT_NE(facts->extension("1.3.6.1.5.5.7.48.1.5"), nullptr) << "noCheck";
  EXPECT_EQ(pki.authority->responder_certificate(pki.ocsp_key->public_key())->serial_hex(), certificate->serial_hex());
  EXPECT_EQ(pki.count("pki_certificate"), 1U);
}

TEST(ResponderCertificate, IsRenewedBeforeItEndsAndForAnotherKey) {
  TestPki pki;
  const auto first = *pki.authority->responder_certificate(pki.ocsp_key->public_key());
  pki.clock->advance(std::chrono::days(20));
  const auto second = *pki.authority->responder_certificate(pki.ocsp_key->public_key());
  EXPECT_NE(first.serial_hex(), second.serial_hex());
  const auto other = *crypto::SoftwareKey::generate();
  EXPECT_EQ(crypto::inspect(*pki.authority->responder_certificate(other->public_key()))->spki, other->public_key().spki());
}

TEST(Issuers, AreRefusedWhenKeyAndCertificateDoNotFit) {
  TestPki pki;
  EXPECT_FALSE(Issuer::make(pki.issuing->certificate, pki.root_key));
  const Material material = pki.good();
  EXPECT_FALSE(Issuer::make(pki.issued(material), material.key)) << "a signer is no authority";
}

class RootCeremony : public ::testing::Test {
 protected:
  Result<Bytes> revoke(ByteView before, const crypto::Certificate& certificate) {
    return make_root_list(*pki.root, before, std::chrono::days(30), *pki.clock, &certificate, crypto::RevocationReason::ca_compromise);
  }
  TestPki pki;
  Bytes first = *make_first_root_list(*pki.root, std::chrono::days(365), *pki.clock);
};

TEST_F(RootCeremony, RevokesAnIssuingAuthorityAndForgetsNothingInLaterLists) {
  const auto list = revoke(first, pki.issuing->certificate);
  ASSERT_TRUE(list) << list.error().detail;
  EXPECT_TRUE(crypto::verify_crl(*list, pki.root->certificate));
  EXPECT_EQ(crypto::parse_crl(*list)->number, 2U);
  EXPECT_EQ(crypto::parse_crl(*list)->find(pki.issuing->certificate.serial_hex())->reason, crypto::RevocationReason::ca_compromise);
  EXPECT_EQ(revoke(*list, pki.issuing->certificate).error().code, ErrorCode::conflict);
  const auto later = make_root_list(*pki.root, *list, std::chrono::days(30), *pki.clock);
  ASSERT_TRUE(later);
  EXPECT_EQ(crypto::parse_crl(*later)->number, 3U);
  EXPECT_NE(crypto::parse_crl(*later)->find(pki.issuing->certificate.serial_hex()), nullptr);
}

TEST_F(RootCeremony, RevokesOnlyWhatTheRootIssuedOnAListOfItsOwn) {
  EXPECT_EQ(revoke(first, pki.issued(pki.good())).error().code, ErrorCode::not_authorised);
  EXPECT_EQ(revoke(first, pki.root->certificate).error().code, ErrorCode::not_authorised);
  const auto foreign = *make_first_root_list(*pki.issuing, std::chrono::days(365), *pki.clock);
  EXPECT_FALSE(make_root_list(*pki.root, foreign, std::chrono::days(30), *pki.clock));
}

TEST_F(RootCeremony, CrossCertifiesAnotherRootSoThatOldAndNewAreFollowedBothWays) {
  const auto new_key = *crypto::SoftwareKey::generate();
  const auto root =
      *Issuer::make(*make_root_certificate({"NO", "Test", "Test Root 2"}, std::chrono::days(9000), *new_key, *pki.clock), new_key);
  const auto new_with_old = cross_certify(root.certificate, *pki.root, "http://pki.example", *pki.clock);
  const auto old_with_new = cross_certify(pki.root->certificate, root, "http://pki.example", *pki.clock);
  ASSERT_TRUE(new_with_old) << new_with_old.error().detail;
  ASSERT_TRUE(old_with_new) << old_with_new.error().detail;
  EXPECT_EQ(new_with_old->not_after(), pki.root->certificate.not_after());
  const Bytes request = *make_authority_request({"NO", "Test", "Test Issuing CA 2"}, *pki.ocsp_key);
  const auto second = *certify_authority(request, std::chrono::days(3650), root, "http://pki.example", *pki.clock);
  const auto now = pki.clock->now();
  EXPECT_TRUE(crypto::verify_chain(second, {*new_with_old}, {pki.root->certificate}, now)) << "who trusts the old root follows the new";
  EXPECT_TRUE(crypto::verify_chain(pki.issuing->certificate, {*old_with_new}, {root.certificate}, now)) << "and the other way round";
  EXPECT_FALSE(crypto::verify_chain(second, {}, {pki.root->certificate}, now));
  EXPECT_EQ(cross_certify(pki.issuing->certificate, root, "http://pki.example", *pki.clock).error().code, ErrorCode::not_authorised);
  EXPECT_EQ(cross_certify(pki.root->certificate, *pki.root, "http://pki.example", *pki.clock).error().code, ErrorCode::conflict);
}

TEST(Ceremony, MakesARootThatEndsChainsAndAnAuthorityThatMakesNoOther) {
  TestPki pki;
  EXPECT_EQ(pki.issuing->facts.path_length, 0);
  EXPECT_EQ(pki.root->facts.is_ca, true);
  EXPECT_TRUE(pki.issuing->certificate.verify_issued_by(pki.root->certificate));
  const Bytes request = *make_authority_request({"NO", "Test", "Third"}, *pki.ocsp_key);
  const auto third = certify_authority(request, std::chrono::days(10), *pki.issuing, "http://pki.example", *pki.clock);
  EXPECT_FALSE(third) << "the path is too long below an issuing CA";
}

}  // namespace
}  // namespace intaglio::pki
