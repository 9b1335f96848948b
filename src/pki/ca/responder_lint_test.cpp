#include "pki/ca/responder_lint.h"

#include <gtest/gtest.h>

#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using crypto::CertificateFacts;

class ResponderLint : public ::testing::Test {
 protected:
  using Spoil = std::function<void(CertificateFacts&)>;
  std::vector<std::string> after(const Spoil& spoil) {
    CertificateFacts facts = facts_;
    spoil(facts);
    return lint_responder(facts, {pki_.issuing->facts, pki_.ocsp_key->public_key(), std::chrono::days(30), "1.2.840.10045.4.3.2"});
  }
  void expect_broken(const std::string& rule, const Spoil& spoil) {
    const auto broken = after(spoil);
    EXPECT_TRUE(std::any_of(broken.begin(), broken.end(), [&](const std::string& each) { return each.starts_with(rule); }))
        << rule << " was not noticed";
    covered_.insert(rule);
  }
  static crypto::ExtensionFacts& extension(CertificateFacts& facts, std::string_view oid) {
    return *std::find_if(facts.extensions.begin(), facts.extensions.end(), [&](const auto& each) { return each.oid == oid; });
  }
  static void remove(CertificateFacts& facts, std::string_view oid) {
    std::erase_if(facts.extensions, [&](const auto& each) { return each.oid == oid; });
  }

  testing::TestPki pki_;
  CertificateFacts facts_ = *crypto::inspect(*pki_.authority->responder_certificate(pki_.ocsp_key->public_key()));
  std::set<std::string> covered_;
};

TEST_F(ResponderLint, FindsNothingInTheCertificateThatIsIssued) {
  EXPECT_TRUE(after([](auto&) {}).empty());
}

TEST_F(ResponderLint, NoticesTheBreachOfEveryRule) {
  const auto day = std::chrono::days(1);
  expect_broken("version is v3", [](auto& c) { c.version = 1; });
  expect_broken("serial number is positive, of 16 to 20 octets", [](auto& c) { c.serial = Bytes(8, 0x11); });
  expect_broken("serial number is positive, of 16 to 20 octets", [](auto& c) { c.serial_negative = true; });
  expect_broken("signature algorithm is the authority's", [](auto& c) { c.inner_signature_algorithm = "1.2.840.113549.1.1.5"; });
  expect_broken("it was issued by the authority", [&](auto& c) { c.issuer_der = pki_.root->facts.subject_der; });
  expect_broken("it was issued by the authority", [](auto& c) { c.authority_key_id = Bytes(20, 1); });
  expect_broken("validity lies within the issuer's", [&](auto& c) { c.not_before = pki_.issuing->facts.not_before - day; });
  expect_broken("validity is short", [&](auto& c) { c.not_after += day; });
  expect_broken("subject is a name of its own", [&](auto& c) { c.subject_der = pki_.issuing->facts.subject_der; });
  expect_broken("key is the responder's own", [&](auto& c) { c.spki = pki_.tsu_key->public_key().spki(); });
  expect_broken("key is the responder's own", [](auto& c) { c.subject_key_id.reset(); });
  expect_broken("each extension stands once", [](auto& c) { c.extensions.push_back(c.extensions.front()); });
  expect_broken("keyUsage is critical and nothing else", [](auto& c) { extension(c, "2.5.29.15").critical = false; });
  expect_broken("keyUsage is critical and nothing else", [](auto& c) { extension(c, "1.3.6.1.5.5.7.48.1.5").critical = true; });
  expect_broken("keyUsage is digitalSignature alone", [](auto& c) { c.key_usage->push_back("cRLSign"); });
  expect_broken("extKeyUsage is id-kp-OCSPSigning alone", [](auto& c) { c.extended_key_usage.push_back("1.3.6.1.5.5.7.3.8"); });
  expect_broken("extKeyUsage is id-kp-OCSPSigning alone", [](auto& c) { remove(c, "2.5.29.37"); });
  expect_broken("id-pkix-ocsp-nocheck is present", [](auto& c) { remove(c, "1.3.6.1.5.5.7.48.1.5"); });
  expect_broken("id-pkix-ocsp-nocheck is present", [](auto& c) { extension(c, "1.3.6.1.5.5.7.48.1.5").value = Bytes{}; });
  expect_broken("no address says where its status is", [](auto& c) { c.ocsp_addresses = {"http://pki.example/ocsp"}; });
  expect_broken("no address says where its status is", [](auto& c) { c.crl_distribution_points = {"http://pki.example/crl"}; });
  expect_broken("it is no authority", [](auto& c) { c.extensions.push_back({"2.5.29.19", false, {}}); });
  expect_broken("it claims nothing of a signer", [](auto& c) { c.qc.statements = {"0.4.0.1862.1.1"}; });
  for (const ResponderLintRule& rule : responder_lint_rules()) {
    EXPECT_TRUE(std::any_of(covered_.begin(), covered_.end(), [&](const std::string& each) { return rule.name.starts_with(each); }))
        << rule.name << " is never broken here";
  }
}

TEST_F(ResponderLint, RefusesTheIssuingKeyAsTheResponders) {
  const auto refused = pki_.authority->responder_certificate(pki_.issuing_key->public_key());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::configuration);
  EXPECT_NE(refused.error().detail.find("key is the responder's own"), std::string::npos);
  EXPECT_EQ(pki_.count("pki_certificate"), 1U) << "that of the fixture";
}

}  // namespace
}  // namespace intaglio::pki
