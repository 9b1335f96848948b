#include "pki/ca/lint.h"

#include <gtest/gtest.h>

#include "pki/ca/extensions.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using crypto::CertificateFacts;
using Spoil = std::function<void(CertificateFacts&, Profile&)>;

/// A certificate without fault, what it is measured against, and the rules that break when something is spoiled.
class Lint : public ::testing::Test {
 protected:
  std::vector<std::string> after(const Spoil& spoil) {
    CertificateFacts facts = facts_;
    Profile profile = profile_;
    spoil(facts, profile);
    return lint(facts, {profile, identity_, pki_.issuing->facts, material_.key->public_key(), "1.2.840.10045.4.3.2", false});
  }
  void expect_broken(const std::string& rule, const Spoil& spoil) {
    const auto broken = after(spoil);
    const bool named = std::any_of(broken.begin(), broken.end(), [&](const std::string& each) { return each.starts_with(rule); });
    EXPECT_TRUE(named) << rule << " was not noticed; " << (broken.empty() ? "nothing was" : broken.front());
    covered_.insert(rule);
  }
  static crypto::ExtensionFacts& extension(CertificateFacts& facts, std::string_view oid) {
    return *std::find_if(facts.extensions.begin(), facts.extensions.end(), [&](const auto& each) { return each.oid == oid; });
  }
  static void remove(CertificateFacts& facts, std::string_view oid) {
    std::erase_if(facts.extensions, [&](const auto& each) { return each.oid == oid; });
  }

  testing::TestPki pki_;
  testing::Material material_ = pki_.good();
  Identity identity_ = *Identity::parse(material_.request["identity"]);
  Profile profile_ = testing::load_profile("natural-person");
  CertificateFacts facts_ = *crypto::inspect(pki_.issued(material_));
  std::set<std::string> covered_;
};

TEST_F(Lint, FindsNothingInAnIssuedCertificate) {
  EXPECT_TRUE(after([](auto&, auto&) {}).empty());
}

TEST_F(Lint, NoticesTheBreachOfEveryRule) {
  expect_broken("version is v3", [](auto& c, auto&) { c.version = 1; });
  expect_broken("serial number is positive, of 16 to 20 octets", [](auto& c, auto&) { c.serial = Bytes(8, 0x11); });
  expect_broken("serial number is positive, of 16 to 20 octets", [](auto& c, auto&) { c.serial_negative = true; });
  expect_broken("serial number is positive, of 16 to 20 octets", [](auto& c, auto&) { c.serial = Bytes(21, 0x11); });
  expect_broken("signature algorithm is the authority's, inside and outside",
                [](auto& c, auto&) { c.inner_signature_algorithm = "1.2.840.113549.1.1.5"; });
  expect_broken("signature algorithm is the authority's, inside and outside",
                [](auto& c, auto&) { c.signature_algorithm = c.inner_signature_algorithm = "1.2.840.113549.1.1.5"; });
  expect_broken("issuer is the issuing CA", [&](auto& c, auto&) { c.issuer_der = pki_.root->facts.subject_der; });
  expect_broken("validity lies within the issuer's",
                [&](auto& c, auto&) { c.not_after = pki_.issuing->facts.not_after + std::chrono::seconds(1); });
  expect_broken("validity lies within the issuer's", [](auto& c, auto&) { std::swap(c.not_before, c.not_after); });
  expect_broken("validity is not longer than the profile's", [](auto& c, auto&) { c.not_after += std::chrono::days(1); });
  expect_broken("times are UTCTime until 2049", [](auto& c, auto&) { c.utc_times = false; });
  expect_broken("subject holds the attributes of such a person",
                [](auto& c, auto&) { std::erase_if(c.subject, [](auto& part) { return part.oid == oid_surname; }); });
  expect_broken("subject holds the attributes of such a person", [](auto& c, auto&) { c.subject.push_back(c.subject.front()); });
  expect_broken("subject holds the profile's attributes in its order", [](auto& c, auto&) { std::swap(c.subject[0], c.subject[1]); });
  expect_broken("subject is the recorded identity", [](auto& c, auto&) { c.subject[1].value = "Ola"; });
  expect_broken("strings are UTF8String", [](auto& c, auto&) { c.subject[1].string_tag = 20; });
  expect_broken("strings are UTF8String", [](auto& c, auto&) { c.subject[0].string_tag = 12; });
  expect_broken("the identifier's semantics are stated exactly when they hold", [](auto& c, auto&) { c.qc.semantics.reset(); });
  expect_broken("the identifier's semantics are stated exactly when they hold",
                [](auto& c, auto&) { c.qc.semantics = std::string(oid_legal_semantics); });
  expect_broken("the identifier's semantics are stated exactly when they hold", [](auto& c, auto& p) {
    p.natural_semantics_only = true;
    c.subject.back().value = "opaque";
  });
  expect_broken("organizationIdentifier says of which register it is", [](auto& c, auto&) {
    c.subject.push_back({std::string(oid_organisation_identifier), "123456789", 12});
  });
  expect_broken("key is the asserted one", [](auto& c, auto&) { c.spki = (*crypto::SoftwareKey::generate())->public_key().spki(); });
  expect_broken("key algorithm is one of the profile's", [](auto&, auto& p) { p.key_algorithms = {crypto::KeyAlgorithm::rsa3072}; });
  expect_broken("each extension stands once", [](auto& c, auto&) { c.extensions.push_back(c.extensions.front()); });
  expect_broken("only keyUsage is critical", [](auto& c, auto&) { extension(c, "2.5.29.31").critical = true; });
  expect_broken("authorityKeyIdentifier names the issuer's key", [](auto& c, auto&) { c.authority_key_id = Bytes(20, 1); });
  expect_broken("authorityKeyIdentifier names the issuer's key", [](auto& c, auto&) { remove(c, "2.5.29.35"); });
  expect_broken("subjectKeyIdentifier names the key", [](auto& c, auto&) { c.subject_key_id = Bytes(20, 1); });
  expect_broken("keyUsage is present and critical", [](auto& c, auto&) { extension(c, "2.5.29.15").critical = false; });
  expect_broken("keyUsage is the profile's", [](auto& c, auto&) { c.key_usage = {"digitalSignature", "nonRepudiation"}; });
  expect_broken("keyUsage is for signatures alone", [](auto& c, auto&) { c.key_usage = {"nonRepudiation", "keyEncipherment"}; });
  expect_broken("keyUsage is for signatures alone", [](auto& c, auto&) { c.key_usage = {"digitalSignature"}; });
  expect_broken("certificatePolicies are the profile's", [](auto& c, auto&) { c.policies.clear(); });
  expect_broken("certificatePolicies are the profile's", [](auto& c, auto&) { c.policies[0].oid = "2.999.9"; });
  expect_broken("no policy mappings", [](auto& c, auto&) { c.extensions.push_back({"2.5.29.36", false, {}}); });
  expect_broken("it is no authority", [](auto& c, auto&) { c.extensions.push_back({"2.5.29.19", false, {}}); });
  expect_broken("it is no authority", [](auto& c, auto&) { c.key_usage = {"nonRepudiation", "keyCertSign"}; });
  expect_broken("a CRL is reachable over http", [](auto& c, auto&) { c.crl_distribution_points = {"ldap://pki.example/x"}; });
  expect_broken("the issuer's certificate is reachable over http", [](auto& c, auto&) { c.ocsp_addresses.clear(); });
  expect_broken("the issuer's certificate is reachable over http", [](auto& c, auto&) { c.ca_issuers.clear(); });
  expect_broken("a CRL is reachable over http", [](auto&, auto& p) { p.short_term = true; });
  expect_broken("the issuer's certificate is reachable over http", [](auto&, auto& p) { p.short_term = true; });
  expect_broken("validity-assured-short-term stands", [](auto& c, auto&) { c.extensions.push_back(validity_assured_short_term()); });
  expect_broken("validity-assured-short-term stands", [](auto&, auto& p) { p.short_term = true; });
  expect_broken("validity-assured-short-term stands", [](auto& c, auto& p) {
    p.short_term = true;
    c.extensions.push_back({std::string(oid_short_term), true, Bytes{0x05, 0x00}});
  });
  expect_broken("what nobody revokes lasts a day at most", [](auto&, auto& p) { p.short_term = true; });
  expect_broken("extKeyUsage is the profile's", [](auto& c, auto&) { c.extended_key_usage = {"1.3.6.1.5.5.7.3.2"}; });
  expect_broken("extKeyUsage is the profile's",
                [](auto& c, auto& p) { c.extended_key_usage = p.extended_key_usage = {std::string(oid_ocsp_signing)}; });
  expect_broken("QcStatements are the profile's", [](auto& c, auto&) { c.qc.statements.push_back(std::string(oid_qc_type)); });
  expect_broken("QcStatements are the profile's", [](auto& c, auto&) { c.qc.retention_years = 3; });
  expect_broken("nothing claims to be qualified that is not", [](auto& c, auto& p) {
    p.qc.compliance = true;
    c.qc.statements.push_back(std::string(oid_qc_compliance));
  });
  expect_broken("nothing claims to be qualified that is not", [](auto& c, auto& p) {
    p.qc.sscd = true;
    c.qc.statements.push_back(std::string(oid_qc_sscd));
  });
  const auto disclosed = [](const std::string& url, const std::string& language) {
    return [=](auto& c, auto& p) { c.qc.disclosures = p.qc.disclosures = {{url, language}}; };
  };
  expect_broken("disclosure statements are https", disclosed("http://pki.example/en.pdf", "en"));
  expect_broken("disclosure statements are https", disclosed("https://pki.example/el.pdf", "el"));
  expect_broken("disclosure statements are https", [](auto& c, auto&) { c.qc.statements.push_back(std::string(oid_qc_compliance)); });

  for (const LintRule& rule : lint_rules()) {
    const bool tried = std::any_of(covered_.begin(), covered_.end(), [&](const std::string& each) { return rule.name.starts_with(each); });
    EXPECT_TRUE(tried) << "no breach is tried of: " << rule.name;
  }
}

TEST_F(Lint, NamesTheClauseOfEveryRule) {
  for (const LintRule& rule : lint_rules()) EXPECT_FALSE(rule.clause.empty()) << rule.name;
}

}  // namespace
}  // namespace intaglio::pki
