#include "pki/ca/responder_lint.h"

#include <algorithm>
#include <set>

#include "crypto/der.h"
#include "pki/ca/extensions.h"

namespace intaglio::pki {

namespace {

using crypto::CertificateFacts;
using Context = ResponderLintContext;

constexpr std::string_view oid_key_usage = "2.5.29.15", oid_extended_usage = "2.5.29.37", oid_no_check = "1.3.6.1.5.5.7.48.1.5",
                           oid_basic_constraints = "2.5.29.19";

bool version_3(const CertificateFacts& c, const Context&) { return c.version == 3; }

bool serial_random(const CertificateFacts& c, const Context&) {
  return !c.serial_negative && c.serial.size() >= 16 && c.serial.size() <= 20 && c.serial.front() < 0x80;
}

bool algorithms_equal(const CertificateFacts& c, const Context& context) {
  return c.signature_algorithm == c.inner_signature_algorithm && c.signature_algorithm == context.signature_algorithm;
}

bool issued_directly(const CertificateFacts& c, const Context& context) {
  return c.issuer_der == context.issuer.subject_der && c.authority_key_id && c.authority_key_id == context.issuer.subject_key_id;
}

bool within_the_issuer(const CertificateFacts& c, const Context& context) {
  return c.not_before < c.not_after && c.not_before >= context.issuer.not_before && c.not_after <= context.issuer.not_after;
}

bool is_short(const CertificateFacts& c, const Context& context) { return c.not_after - c.not_before <= context.validity; }

bool names_itself(const CertificateFacts& c, const Context& context) {
  return !c.subject.empty() && c.subject_der != context.issuer.subject_der;
}

bool key_of_its_own(const CertificateFacts& c, const Context& context) {
  return c.spki == context.key.spki() && c.spki != context.issuer.spki && c.subject_key_id == key_identifier(context.key);
}

bool extensions_once(const CertificateFacts& c, const Context&) {
  std::set<std::string> seen;
  return std::all_of(c.extensions.begin(), c.extensions.end(), [&](const auto& each) { return seen.insert(each.oid).second; });
}

bool criticality(const CertificateFacts& c, const Context&) {
  return std::all_of(c.extensions.begin(), c.extensions.end(),
                     [](const auto& each) { return each.critical == (each.oid == oid_key_usage); });
}

bool signs_alone(const CertificateFacts& c, const Context&) {
  return c.key_usage && *c.key_usage == std::vector<std::string>{"digitalSignature"};
}

bool delegated(const CertificateFacts& c, const Context&) {
  return c.extension(oid_extended_usage) != nullptr && c.extended_key_usage == std::vector<std::string>{std::string(oid_ocsp_signing)};
}

bool no_check(const CertificateFacts& c, const Context&) {
  const crypto::ExtensionFacts* extension = c.extension(oid_no_check);
  return extension != nullptr && extension->value == crypto::der::null();
}

/// With nocheck nobody asks: an address of status would contradict it.
bool no_status_address(const CertificateFacts& c, const Context&) { return c.crl_distribution_points.empty() && c.ocsp_addresses.empty(); }

bool not_a_ca(const CertificateFacts& c, const Context&) { return c.extension(oid_basic_constraints) == nullptr; }

bool no_claims(const CertificateFacts& c, const Context&) { return c.qc.statements.empty(); }

}  // namespace

const std::vector<ResponderLintRule>& responder_lint_rules() {
  static const std::vector<ResponderLintRule> rules = {
      {"version is v3", "RFC 5280, 4.1.2.1", version_3},
      {"serial number is positive, of 16 to 20 octets", "RFC 5280, 4.1.2.2", serial_random},
      {"signature algorithm is the authority's, inside and outside", "RFC 5280, 4.1.1.2", algorithms_equal},
      {"it was issued by the authority that it answers for", "RFC 6960, 4.2.2.2", issued_directly},
      {"validity lies within the issuer's", "RFC 5280, 4.1.2.5", within_the_issuer},
      {"validity is short, as it cannot be revoked", "RFC 6960, 4.2.2.2.1", is_short},
      {"subject is a name of its own", "RFC 5280, 4.1.2.6", names_itself},
      {"key is the responder's own", "RFC 6960, 4.2.2.2; EN 319 411-1, GEN-6.5.1", key_of_its_own},
      {"each extension stands once", "RFC 5280, 4.2", extensions_once},
      {"keyUsage is critical and nothing else is", "RFC 5280, 4.2.1.3; RFC 6960, 4.2.2.2.1", criticality},
      {"keyUsage is digitalSignature alone", "RFC 5280, 4.2.1.12", signs_alone},
      {"extKeyUsage is id-kp-OCSPSigning alone", "RFC 6960, 4.2.2.2", delegated},
      {"id-pkix-ocsp-nocheck is present, and NULL", "RFC 6960, 4.2.2.2.1", no_check},
      {"no address says where its status is", "RFC 6960, 4.2.2.2.1", no_status_address},
      {"it is no authority", "RFC 5280, 4.2.1.9", not_a_ca},
      {"it claims nothing of a signer", "EN 319 412-5, 4", no_claims},
  };
  return rules;
}

std::vector<std::string> lint_responder(const CertificateFacts& certificate, const ResponderLintContext& context) {
  std::vector<std::string> broken;
  for (const ResponderLintRule& rule : responder_lint_rules()) {
    if (!rule.holds(certificate, context)) broken.push_back(std::string(rule.name) + " (" + std::string(rule.clause) + ")");
  }
  return broken;
}

}  // namespace intaglio::pki
