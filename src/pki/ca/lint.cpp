#include "pki/ca/lint.h"

#include <set>

#include "pki/ca/extensions.h"

namespace intaglio::pki {

namespace {

using crypto::CertificateFacts;
using crypto::ExtensionFacts;

constexpr int tag_utf8 = 12, tag_printable = 19;

constexpr std::string_view oid_key_usage = "2.5.29.15", oid_subject_key = "2.5.29.14", oid_authority_key = "2.5.29.35",
                           oid_policies = "2.5.29.32", oid_mappings = "2.5.29.33", oid_name_constraints = "2.5.29.30",
                           oid_policy_constraints = "2.5.29.36", oid_inhibit_any = "2.5.29.54", oid_distribution = "2.5.29.31",
                           oid_extended_usage = "2.5.29.37", oid_access = "1.3.6.1.5.5.7.1.1", oid_statements = "1.3.6.1.5.5.7.1.3";

bool is_http(std::string_view uri) noexcept { return uri.starts_with("http://") && uri.size() > 7; }

bool has(const std::vector<std::string>& list, std::string_view what) { return std::find(list.begin(), list.end(), what) != list.end(); }

std::set<std::string> as_set(const std::vector<std::string>& list) { return {list.begin(), list.end()}; }

bool present_not_critical(const CertificateFacts& certificate, std::string_view oid) {
  const ExtensionFacts* extension = certificate.extension(oid);
  return extension != nullptr && !extension->critical;
}

bool not_critical(const CertificateFacts& certificate, std::string_view oid) {
  const ExtensionFacts* extension = certificate.extension(oid);
  return extension == nullptr || !extension->critical;
}

/// All values of one attribute type.
std::vector<std::string> values(const CertificateFacts& certificate, std::string_view oid) {
  std::vector<std::string> found;
  for (const crypto::NamePart& part : certificate.subject) {
    if (part.oid == oid) found.push_back(part.value);
  }
  return found;
}

bool version_3(const CertificateFacts& c, const LintContext&) { return c.version == 3; }

bool serial_random(const CertificateFacts& c, const LintContext&) {
  return !c.serial_negative && c.serial.size() >= 16 && c.serial.size() <= 20 && c.serial.front() < 0x80;
}

bool algorithms_equal(const CertificateFacts& c, const LintContext& context) {
  return c.signature_algorithm == c.inner_signature_algorithm && c.signature_algorithm == context.signature_algorithm;
}

bool issuer_is_ours(const CertificateFacts& c, const LintContext& context) { return c.issuer_der == context.issuer.subject_der; }

bool validity_ordered(const CertificateFacts& c, const LintContext& context) {
  return c.not_before < c.not_after && c.not_before >= context.issuer.not_before && c.not_after <= context.issuer.not_after;
}

bool validity_of_profile(const CertificateFacts& c, const LintContext& context) {
  return c.not_after - c.not_before <= context.profile.validity;
}

bool times_utc(const CertificateFacts& c, const LintContext&) {
  const UnixTime year_2050 = from_unix_seconds(2524608000);
  return c.utc_times == (c.not_before < year_2050 && c.not_after < year_2050);
}

bool subject_complete(const CertificateFacts& c, const LintContext& context) {
  const auto& wanted = attributes_of(context.identity.person);
  return values(c, oid_common_name).size() == 1 &&
         std::all_of(wanted.begin(), wanted.end(), [&](std::string_view oid) { return values(c, oid).size() == 1; });
}

bool subject_of_profile(const CertificateFacts& c, const LintContext& context) {
  return std::equal(c.subject.begin(), c.subject.end(), context.profile.subject.begin(), context.profile.subject.end(),
                    [](const crypto::NamePart& part, const std::string& oid) { return part.oid == oid; });
}

bool subject_is_the_identity(const CertificateFacts& c, const LintContext& context) {
  return std::all_of(c.subject.begin(), c.subject.end(),
                     [&](const crypto::NamePart& part) { return context.identity.attribute(part.oid) == part.value; });
}

bool string_types(const CertificateFacts& c, const LintContext&) {
  return std::all_of(c.subject.begin(), c.subject.end(), [](const crypto::NamePart& part) {
    const bool printable = part.oid == oid_country || part.oid == oid_serial_number;
    return part.string_tag == (printable ? tag_printable : tag_utf8);
  });
}

/// The semantics of the certificate's own identifier: serialNumber, or organizationIdentifier where there is no person beside it.
std::optional<std::string_view> semantics_of(const CertificateFacts& c) {
  const auto serial = values(c, oid_serial_number);
  if (serial.size() == 1) return is_natural_semantics(serial.front()) ? std::optional(oid_natural_semantics) : std::nullopt;
  const auto organisation = values(c, oid_organisation_identifier);
  return organisation.size() == 1 && is_legal_semantics(organisation.front()) ? std::optional(oid_legal_semantics) : std::nullopt;
}

bool identifier_semantics(const CertificateFacts& c, const LintContext& context) {
  const auto semantics = semantics_of(c);
  if (context.profile.natural_semantics_only && semantics != oid_natural_semantics) return false;
  if (!context.profile.qc.semantics || !semantics) return !c.qc.semantics;
  return c.qc.semantics == *semantics;
}

bool organisation_identified(const CertificateFacts& c, const LintContext&) {
  const auto found = values(c, oid_organisation_identifier);
  return std::all_of(found.begin(), found.end(), is_legal_semantics);
}

bool key_is_the_asserted(const CertificateFacts& c, const LintContext& context) { return c.spki == context.key.spki(); }

bool key_of_profile(const CertificateFacts&, const LintContext& context) {
  const auto& allowed = context.profile.key_algorithms;
  return std::find(allowed.begin(), allowed.end(), context.key.algorithm()) != allowed.end();
}

bool extensions_once(const CertificateFacts& c, const LintContext&) {
  std::set<std::string> seen;
  return std::all_of(c.extensions.begin(), c.extensions.end(), [&](const ExtensionFacts& each) { return seen.insert(each.oid).second; });
}

bool criticality(const CertificateFacts& c, const LintContext&) {
  return std::all_of(c.extensions.begin(), c.extensions.end(),
                     [](const ExtensionFacts& each) { return !each.critical || each.oid == oid_key_usage; });
}

bool authority_key(const CertificateFacts& c, const LintContext& context) {
  return present_not_critical(c, oid_authority_key) && c.authority_key_id && c.authority_key_id == context.issuer.subject_key_id;
}

bool subject_key(const CertificateFacts& c, const LintContext& context) {
  return present_not_critical(c, oid_subject_key) && c.subject_key_id == key_identifier(context.key);
}

bool usage_critical(const CertificateFacts& c, const LintContext&) {
  const ExtensionFacts* extension = c.extension(oid_key_usage);
  return extension != nullptr && extension->critical && c.key_usage;
}

bool usage_of_profile(const CertificateFacts& c, const LintContext& context) {
  return c.key_usage && as_set(*c.key_usage) == as_set(context.profile.key_usage);
}

/// Types A, B and F of EN 319 412-2 table 1 hold nonRepudiation; a signer's certificate is one of them, without any other bit.
bool usage_for_signatures(const CertificateFacts& c, const LintContext&) {
  if (!c.key_usage || !has(*c.key_usage, "nonRepudiation")) return false;
  return std::all_of(c.key_usage->begin(), c.key_usage->end(),
                     [](const std::string& bit) { return bit == "nonRepudiation" || bit == "digitalSignature"; });
}

bool policies_of_profile(const CertificateFacts& c, const LintContext& context) {
  if (!present_not_critical(c, oid_policies) || c.policies.empty() || c.policies.size() != context.profile.policies.size()) return false;
  return std::equal(
      c.policies.begin(), c.policies.end(), context.profile.policies.begin(),
      [](const crypto::PolicyFacts& left, const crypto::PolicyFacts& right) { return left.oid == right.oid && left.cps == right.cps; });
}

bool no_ca_extensions(const CertificateFacts& c, const LintContext&) {
  return std::none_of(c.extensions.begin(), c.extensions.end(), [](const ExtensionFacts& each) {
    return each.oid == oid_mappings || each.oid == oid_name_constraints || each.oid == oid_policy_constraints ||
           each.oid == oid_inhibit_any;
  });
}

bool not_a_ca(const CertificateFacts& c, const LintContext&) {
  return c.extension("2.5.29.19") == nullptr && (!c.key_usage || (!has(*c.key_usage, "keyCertSign") && !has(*c.key_usage, "cRLSign")));
}

bool distribution_points(const CertificateFacts& c, const LintContext& context) {
  if (context.profile.short_term) return c.extension(oid_distribution) == nullptr;
  return present_not_critical(c, oid_distribution) &&
         std::any_of(c.crl_distribution_points.begin(), c.crl_distribution_points.end(), is_http);
}

bool access_addresses(const CertificateFacts& c, const LintContext& context) {
  const bool answered = std::any_of(c.ocsp_addresses.begin(), c.ocsp_addresses.end(), is_http);
  const bool needs_none = context.profile.short_term && c.ocsp_addresses.empty();
  return present_not_critical(c, oid_access) && (context.profile.short_term ? needs_none : answered) &&
         std::any_of(c.ca_issuers.begin(), c.ca_issuers.end(), is_http);
}

bool short_term_is_stated(const CertificateFacts& c, const LintContext& context) {
  if (!context.profile.short_term) return c.extension(oid_short_term) == nullptr;
  const ExtensionFacts* extension = c.extension(oid_short_term);
  return extension != nullptr && !extension->critical && extension->value == Bytes{0x05, 0x00};
}

bool short_term_is_short(const CertificateFacts& c, const LintContext& context) {
  return !context.profile.short_term || c.not_after - c.not_before <= std::chrono::hours(24);
}

bool extended_usage(const CertificateFacts& c, const LintContext& context) {
  return not_critical(c, oid_extended_usage) && as_set(c.extended_key_usage) == as_set(context.profile.extended_key_usage) &&
         !has(c.extended_key_usage, "2.5.29.37.0") && !has(c.extended_key_usage, oid_ocsp_signing);
}

bool statements_of_profile(const CertificateFacts& c, const LintContext& context) {
  if (as_set(c.qc.statements) != as_set(expected_qc_statements(context.profile.qc, semantics_of(c)))) return false;
  std::vector<std::string> types;
  for (const std::string& type : context.profile.qc.types) types.push_back(qc_type_oid(type).value_or(""));
  return c.qc.types == types && c.qc.retention_years == context.profile.qc.retention_years && not_critical(c, oid_statements);
}

bool no_false_claim(const CertificateFacts& c, const LintContext& context) {
  return context.qualified || (!c.qc.states(oid_qc_compliance) && !c.qc.states(oid_qc_sscd));
}

bool disclosures(const CertificateFacts& c, const LintContext& context) {
  if (c.qc.disclosures.size() != context.profile.qc.disclosures.size()) return false;
  if (c.qc.disclosures.empty()) return !c.qc.states(oid_qc_compliance);
  std::set<std::string> languages;
  for (const auto& each : c.qc.disclosures) {
    if (!each.url.starts_with("https://") || each.language.size() != 2 || !languages.insert(each.language).second) return false;
  }
  return languages.contains("en");
}

}  // namespace

const std::vector<LintRule>& lint_rules() {
  static const std::vector<LintRule> rules = {
      {"version is v3", "RFC 5280, 4.1.2.1", version_3},
      {"serial number is positive, of 16 to 20 octets", "RFC 5280, 4.1.2.2", serial_random},
      {"signature algorithm is the authority's, inside and outside", "RFC 5280, 4.1.1.2", algorithms_equal},
      {"issuer is the issuing CA", "RFC 5280, 4.1.2.4", issuer_is_ours},
      {"validity lies within the issuer's", "RFC 5280, 4.1.2.5", validity_ordered},
      {"validity is not longer than the profile's", "the certificate profile", validity_of_profile},
      {"times are UTCTime until 2049", "RFC 5280, 4.1.2.5", times_utc},
      {"subject holds the attributes of such a person once", "EN 319 412-2, NAT-4.2.4; EN 319 412-3, LEG-4.2.1", subject_complete},
      {"subject holds the profile's attributes in its order", "EN 319 412-2, 4.2.4", subject_of_profile},
      {"subject is the recorded identity", "EN 319 411-1, 6.2.2", subject_is_the_identity},
      {"strings are UTF8String, country and serial number PrintableString", "RFC 5280, 4.1.2.4 and appendix A", string_types},
      {"the identifier's semantics are stated exactly when they hold", "EN 319 412-1, 5.1.3 and 5.1.4", identifier_semantics},
      {"organizationIdentifier says of which register it is", "EN 319 412-1, 5.1.4; EN 319 412-3, LEG-4.2.1", organisation_identified},
      {"key is the asserted one", "TS 119 431-1, GEN-6.2.1-08", key_is_the_asserted},
      {"key algorithm is one of the profile's", "TS 119 312, 8.4", key_of_profile},
      {"each extension stands once", "RFC 5280, 4.2", extensions_once},
      {"only keyUsage is critical", "EN 319 412-2, 4.3", criticality},
      {"authorityKeyIdentifier names the issuer's key", "RFC 5280, 4.2.1.1; EN 319 412-2, 4.3.1", authority_key},
      {"subjectKeyIdentifier names the key", "RFC 5280, 4.2.1.2", subject_key},
      {"keyUsage is present and critical", "RFC 5280, 4.2.1.3; EN 319 412-2, NAT-4.3.2-1", usage_critical},
      {"keyUsage is the profile's", "EN 319 412-2, NAT-4.3.2-1", usage_of_profile},
      {"keyUsage is for signatures alone", "EN 319 412-2, table 1", usage_for_signatures},
      {"certificatePolicies are the profile's", "EN 319 412-2, 4.3.3", policies_of_profile},
      {"no policy mappings, name or policy constraints", "EN 319 412-2, 4.3", no_ca_extensions},
      {"it is no authority: no basicConstraints, keyCertSign or cRLSign", "RFC 5280, 4.2.1.9", not_a_ca},
      {"a CRL is reachable over http, unless nobody revokes", "EN 319 412-2, GEN-4.3.11-4", distribution_points},
      {"the issuer's certificate is reachable over http, and OCSP unless nobody revokes", "EN 319 412-2, 4.4.1", access_addresses},
      {"validity-assured-short-term stands where nobody revokes, and only there", "EN 319 412-1, 5.2", short_term_is_stated},
      {"what nobody revokes lasts a day at most", "EN 319 412-1, 5.2", short_term_is_short},
      {"extKeyUsage is the profile's", "EN 319 412-2, 4.3.10", extended_usage},
      {"QcStatements are the profile's", "EN 319 412-5, 5", statements_of_profile},
      {"nothing claims to be qualified that is not", "EN 319 412-5, 4.2.1 and 4.2.2", no_false_claim},
      {"disclosure statements are https, one a language, English among them", "EN 319 412-5, QCS-4.3.4-03 and QCS-5-01", disclosures},
  };
  return rules;
}

std::vector<std::string> lint(const CertificateFacts& certificate, const LintContext& context) {
  std::vector<std::string> broken;
  for (const LintRule& rule : lint_rules()) {
    if (!rule.holds(certificate, context)) broken.push_back(std::string(rule.name) + " (" + std::string(rule.clause) + ")");
  }
  return broken;
}

}  // namespace intaglio::pki
