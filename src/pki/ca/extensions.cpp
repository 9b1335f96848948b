#include "pki/ca/extensions.h"

#include <charconv>

#include "crypto/der.h"
#include "pki/ca/identity.h"

namespace intaglio::pki {

namespace der = crypto::der;
using crypto::ExtensionFacts;

namespace {

constexpr std::array<std::string_view, 9> usage_names = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                                         "dataEncipherment", "keyAgreement",   "keyCertSign",
                                                         "cRLSign",          "encipherOnly",   "decipherOnly"};

ExtensionFacts extension(std::string_view oid, bool critical, Bytes value) { return {std::string(oid), critical, std::move(value)}; }

/// GeneralName uniformResourceIdentifier, [6] IMPLICIT IA5String.
Bytes uri_name(std::string_view uri) { return der::implicit_tag(6, der::ia5(uri)); }

/// CRLDistributionPoints of one point with one name.
Bytes distribution_points(std::string_view uri) {
  const Bytes full_name = der::implicit_tag(0, der::sequence({uri_name(uri)}));
  return der::sequence({der::sequence({der::explicit_tag(0, full_name)})});
}

Bytes statement(std::string_view oid) { return der::sequence({der::oid(oid)}); }
Bytes statement(std::string_view oid, const Bytes& info) { return der::sequence({der::oid(oid), info}); }

Bytes disclosure_info(const std::vector<crypto::DisclosureStatement>& disclosures) {
  std::vector<Bytes> locations;
  for (const auto& each : disclosures) locations.push_back(der::sequence({der::ia5(each.url), der::printable(each.language)}));
  return der::sequence(locations);
}

Bytes type_info(const std::vector<std::string>& types) {
  std::vector<Bytes> oids;
  for (const std::string& type : types) oids.push_back(der::oid(qc_type_oid(type).value_or("")));
  return der::sequence(oids);
}

}  // namespace

bool is_oid(std::string_view text) noexcept {
  std::vector<std::uint64_t> arcs;
  while (true) {
    std::uint64_t arc = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), arc);
    if (failure != std::errc{} || arc > 0xFFFFFFFFU) return false;
    arcs.push_back(arc);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) break;
    if (text.front() != '.' || arcs.size() > 32) return false;
    text.remove_prefix(1);
  }
  return arcs.size() >= 2 && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40);
}

std::optional<std::string> qc_type_oid(std::string_view name) {
  if (name == "esign") return "0.4.0.1862.1.6.1";
  if (name == "eseal") return "0.4.0.1862.1.6.2";
  if (name == "web") return "0.4.0.1862.1.6.3";
  return std::nullopt;
}

Bytes key_identifier(const crypto::PublicKey& key) {
  const auto digest = key.thumbprint();
  return {digest.begin(), digest.begin() + 20};
}

std::optional<Bytes> encode_key_usage(const std::vector<std::string>& names) {
  unsigned bits = 0;
  for (const std::string& name : names) {
    const auto found = std::find(usage_names.begin(), usage_names.end(), name);
    if (found == usage_names.end()) return std::nullopt;
    bits |= 0x8000U >> static_cast<unsigned>(found - usage_names.begin());
  }
  // A named bit list ends with its last bit that is one (X.690, 11.2.2).
  Bytes octets = {static_cast<std::uint8_t>(bits >> 8U), static_cast<std::uint8_t>(bits & 0xFFU)};
  while (!octets.empty() && octets.back() == 0) octets.pop_back();
  unsigned unused = 0;
  while (!octets.empty() && unused < 7 && ((octets.back() >> unused) & 1U) == 0) ++unused;
  return der::bit_string(octets, unused);
}

ExtensionFacts key_usage(const std::vector<std::string>& names) {
  auto bits = encode_key_usage(names);
  if (!bits) panic("a key usage that no standard names");
  return extension("2.5.29.15", true, std::move(*bits));
}

ExtensionFacts subject_key_identifier(const crypto::PublicKey& key) {
  return extension("2.5.29.14", false, der::octet_string(key_identifier(key)));
}

ExtensionFacts authority_key_identifier(ByteView key_id) {
  return extension("2.5.29.35", false, der::sequence({der::implicit_tag(0, der::octet_string(key_id))}));
}

ExtensionFacts basic_constraints(std::optional<unsigned> path_length) {
  Bytes value =
      path_length ? der::sequence({der::boolean(true), der::integer(std::uint64_t{*path_length})}) : der::sequence({der::boolean(true)});
  return extension("2.5.29.19", true, std::move(value));
}

ExtensionFacts certificate_policies(const std::vector<crypto::PolicyFacts>& policies) {
  std::vector<Bytes> list;
  for (const crypto::PolicyFacts& policy : policies) {
    std::vector<Bytes> qualifiers;
    for (const std::string& uri : policy.cps) qualifiers.push_back(der::sequence({der::oid("1.3.6.1.5.5.7.2.1"), der::ia5(uri)}));
    list.push_back(qualifiers.empty() ? der::sequence({der::oid(policy.oid)})
                                      : der::sequence({der::oid(policy.oid), der::sequence(qualifiers)}));
  }
  return extension("2.5.29.32", false, der::sequence(list));
}

ExtensionFacts extended_key_usage(const std::vector<std::string>& oids) {
  std::vector<Bytes> list;
  for (const std::string& oid : oids) list.push_back(der::oid(oid));
  return extension("2.5.29.37", false, der::sequence(list));
}

ExtensionFacts time_stamping_usage() { return extension("2.5.29.37", true, der::sequence({der::oid(oid_time_stamping)})); }

ExtensionFacts private_key_usage_period(UnixTime begin, UnixTime end) {
  return extension("2.5.29.16", false,
                   der::sequence({der::implicit_tag(0, der::generalized_time(begin)), der::implicit_tag(1, der::generalized_time(end))}));
}

ExtensionFacts crl_distribution_point(std::string_view uri) { return extension("2.5.29.31", false, distribution_points(uri)); }

ExtensionFacts freshest_crl(std::string_view uri) { return extension("2.5.29.46", false, distribution_points(uri)); }

ExtensionFacts authority_information_access(std::string_view ocsp, std::string_view ca_issuers) {
  std::vector<Bytes> descriptions;
  if (!ocsp.empty()) descriptions.push_back(der::sequence({der::oid("1.3.6.1.5.5.7.48.1"), uri_name(ocsp)}));
  if (!ca_issuers.empty()) descriptions.push_back(der::sequence({der::oid("1.3.6.1.5.5.7.48.2"), uri_name(ca_issuers)}));
  return extension("1.3.6.1.5.5.7.1.1", false, der::sequence(descriptions));
}

ExtensionFacts validity_assured_short_term() { return extension(oid_short_term, false, der::null()); }

ExtensionFacts ocsp_no_check() { return extension("1.3.6.1.5.5.7.48.1.5", false, der::null()); }

std::vector<std::string> expected_qc_statements(const QcProfile& profile, std::optional<std::string_view> semantics) {
  std::vector<std::string> oids;
  if (profile.semantics && semantics) oids.emplace_back(oid_qc_syntax);
  if (profile.compliance) oids.emplace_back(oid_qc_compliance);
  if (profile.sscd) oids.emplace_back(oid_qc_sscd);
  if (!profile.types.empty()) oids.emplace_back(oid_qc_type);
  if (profile.retention_years) oids.emplace_back(oid_qc_retention);
  if (!profile.disclosures.empty()) oids.emplace_back(oid_qc_disclosure);
  return oids;
}

std::optional<ExtensionFacts> qc_statements(const QcProfile& profile, std::optional<std::string_view> semantics) {
  std::vector<Bytes> statements;
  for (const std::string& oid : expected_qc_statements(profile, semantics)) {
    if (oid == oid_qc_syntax) statements.push_back(statement(oid, der::sequence({der::oid(*semantics)})));
    if (oid == oid_qc_compliance || oid == oid_qc_sscd) statements.push_back(statement(oid));
    if (oid == oid_qc_type) statements.push_back(statement(oid, type_info(profile.types)));
    if (oid == oid_qc_retention) statements.push_back(statement(oid, der::integer(*profile.retention_years)));
    if (oid == oid_qc_disclosure) statements.push_back(statement(oid, disclosure_info(profile.disclosures)));
  }
  if (statements.empty()) return std::nullopt;
  return extension("1.3.6.1.5.5.7.1.3", false, der::sequence(statements));
}

Bytes encode_extensions(const std::vector<ExtensionFacts>& extensions) {
  std::vector<Bytes> list;
  for (const ExtensionFacts& each : extensions) {
    const Bytes value = der::octet_string(each.value);
    // DEFAULT FALSE is not written (X.690, 11.5).
    list.push_back(each.critical ? der::sequence({der::oid(each.oid), der::boolean(true), value})
                                 : der::sequence({der::oid(each.oid), value}));
  }
  return der::sequence(list);
}

}  // namespace intaglio::pki
