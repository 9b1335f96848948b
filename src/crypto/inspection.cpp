#include "crypto/inspection.h"

#include <openssl/x509v3.h>

#include <algorithm>

#include "crypto/detail/asn1_read.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {

namespace {

using detail::Freed;
using detail::refusal;

constexpr std::string_view oid_qc_statements = "1.3.6.1.5.5.7.1.3";
constexpr std::string_view oid_qc_syntax_v2 = "1.3.6.1.5.5.7.11.2";
constexpr std::string_view oid_qc_retention = "0.4.0.1862.1.3";
constexpr std::string_view oid_qc_disclosure = "0.4.0.1862.1.5";
constexpr std::string_view oid_qc_type = "0.4.0.1862.1.6";

/// KeyUsage, RFC 5280 section 4.2.1.3: bit numbers are positions here.
constexpr std::array<std::string_view, 9> usage_names = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                                         "dataEncipherment", "keyAgreement",   "keyCertSign",
                                                         "cRLSign",          "encipherOnly",   "decipherOnly"};

/// One decoded extension, freed with its own function; empty when the certificate has none.
template <typename T, auto Free>
using Decoded = std::unique_ptr<T, Freed<Free>>;

template <typename T, auto Free>
Result<Decoded<T, Free>> decode(const X509* certificate, int nid, std::string_view what) {
  int found = 0;
  Decoded<T, Free> value(static_cast<T*>(X509_get_ext_d2i(certificate, nid, &found, nullptr)));
  if (!value && found != -1)
    return refusal(ErrorCode::invalid_request, "extension " + std::string(what) + " does not parse, or is there twice");
  return value;
}

std::optional<std::string> uri_of(const GENERAL_NAME* name) {
  if (name->type != GEN_URI) return std::nullopt;
  return std::string(as_text(detail::read_string(name->d.uniformResourceIdentifier)));
}

Status read_key_usage(const X509* certificate, CertificateFacts& facts) {
  auto bits = decode<ASN1_BIT_STRING, ASN1_BIT_STRING_free>(certificate, NID_key_usage, "keyUsage");
  if (!bits) return bits.error();
  if (!*bits) return {};
  auto& names = facts.key_usage.emplace();
  for (std::size_t bit = 0; bit < usage_names.size(); ++bit) {
    if (ASN1_BIT_STRING_get_bit(bits->get(), static_cast<int>(bit)) == 1) names.emplace_back(usage_names[bit]);
  }
  return {};
}

Status read_extended_key_usage(const X509* certificate, CertificateFacts& facts) {
  auto uses = decode<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>(certificate, NID_ext_key_usage, "extKeyUsage");
  if (!uses) return uses.error();
  for (int index = 0; index < sk_ASN1_OBJECT_num(uses->get()); ++index) {
    facts.extended_key_usage.push_back(detail::read_oid(sk_ASN1_OBJECT_value(uses->get(), index)));
  }
  return {};
}

Status read_key_ids(const X509* certificate, CertificateFacts& facts) {
  auto subject = decode<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>(certificate, NID_subject_key_identifier, "subjectKeyIdentifier");
  if (!subject) return subject.error();
  if (*subject) facts.subject_key_id = detail::read_string(subject->get());
  auto authority = decode<AUTHORITY_KEYID, AUTHORITY_KEYID_free>(certificate, NID_authority_key_identifier, "authorityKeyIdentifier");
  if (!authority) return authority.error();
  if (*authority && (*authority)->keyid != nullptr) facts.authority_key_id = detail::read_string((*authority)->keyid);
  return {};
}

Status read_policies(const X509* certificate, CertificateFacts& facts) {
  auto policies = decode<CERTIFICATEPOLICIES, CERTIFICATEPOLICIES_free>(certificate, NID_certificate_policies, "certificatePolicies");
  if (!policies) return policies.error();
  for (int index = 0; index < sk_POLICYINFO_num(policies->get()); ++index) {
    const POLICYINFO* info = sk_POLICYINFO_value(policies->get(), index);
    PolicyFacts policy{detail::read_oid(info->policyid), {}};
    for (int each = 0; each < sk_POLICYQUALINFO_num(info->qualifiers); ++each) {
      const POLICYQUALINFO* qualifier = sk_POLICYQUALINFO_value(info->qualifiers, each);
      if (OBJ_obj2nid(qualifier->pqualid) == NID_id_qt_cps) policy.cps.emplace_back(as_text(detail::read_string(qualifier->d.cpsuri)));
    }
    facts.policies.push_back(std::move(policy));
  }
  return {};
}

Status read_addresses(const X509* certificate, CertificateFacts& facts) {
  auto points = decode<CRL_DIST_POINTS, CRL_DIST_POINTS_free>(certificate, NID_crl_distribution_points, "cRLDistributionPoints");
  if (!points) return points.error();
  for (int index = 0; index < sk_DIST_POINT_num(points->get()); ++index) {
    const DIST_POINT* point = sk_DIST_POINT_value(points->get(), index);
    if (point->distpoint == nullptr || point->distpoint->type != 0) continue;
    for (int each = 0; each < sk_GENERAL_NAME_num(point->distpoint->name.fullname); ++each) {
      if (auto uri = uri_of(sk_GENERAL_NAME_value(point->distpoint->name.fullname, each))) facts.crl_distribution_points.push_back(*uri);
    }
  }
  auto access = decode<AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free>(certificate, NID_info_access, "authorityInfoAccess");
  if (!access) return access.error();
  for (int index = 0; index < sk_ACCESS_DESCRIPTION_num(access->get()); ++index) {
    const ACCESS_DESCRIPTION* description = sk_ACCESS_DESCRIPTION_value(access->get(), index);
    const auto uri = uri_of(description->location);
    if (!uri) continue;
    if (OBJ_obj2nid(description->method) == NID_ad_OCSP) facts.ocsp_addresses.push_back(*uri);
    if (OBJ_obj2nid(description->method) == NID_ad_ca_issuers) facts.ca_issuers.push_back(*uri);
  }
  return {};
}

Status read_constraints(const X509* certificate, CertificateFacts& facts) {
  auto constraints = decode<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>(certificate, NID_basic_constraints, "basicConstraints");
  if (!constraints) return constraints.error();
  if (!*constraints) return {};
  facts.is_ca = (*constraints)->ca != 0;
  if ((*constraints)->pathlen != nullptr) facts.path_length = ASN1_INTEGER_get((*constraints)->pathlen);
  return {};
}

Status read_private_key_period(const X509* certificate, CertificateFacts& facts) {
  auto period = decode<PKEY_USAGE_PERIOD, PKEY_USAGE_PERIOD_free>(certificate, NID_private_key_usage_period, "privateKeyUsagePeriod");
  if (!period) return period.error();
  if (!*period || (*period)->notAfter == nullptr) return {};
  auto end = detail::read_time((*period)->notAfter);
  if (!end) return end.error();
  facts.private_key_not_after = *end;
  return {};
}

/// PdsLocations ::= SEQUENCE OF SEQUENCE { url IA5String, language PrintableString } (EN 319 412-5, 4.3.4).
Status read_disclosures(ByteView info, QcFacts& qc) {
  auto locations = detail::read_sequence(info);
  if (!locations) return locations.error();
  for (const Bytes& location : *locations) {
    auto members = detail::read_sequence(location);
    if (!members) return members.error();
    if (members->size() != 2) return Error{ErrorCode::invalid_request, "QcPDS: a location has url and language"};
    auto url = detail::read_string_element((*members)[0], V_ASN1_IA5STRING);
    auto language = detail::read_string_element((*members)[1], V_ASN1_PRINTABLESTRING);
    if (!url) return url.error();
    if (!language) return language.error();
    qc.disclosures.push_back({std::move(*url), std::move(*language)});
  }
  return {};
}

Status read_statement(const std::string& oid, ByteView info, QcFacts& qc) {
  if (oid == oid_qc_disclosure) return read_disclosures(info, qc);
  if (oid == oid_qc_retention) {
    auto years = detail::read_integer_element(info);
    if (!years) return years.error();
    qc.retention_years = *years;
    return {};
  }
  if (oid != oid_qc_type && oid != oid_qc_syntax_v2) return {};
  auto members = detail::read_sequence(info);
  if (!members) return members.error();
  for (const Bytes& member : *members) {
    auto text = detail::read_oid_element(member);
    if (!text) return text.error();
    if (oid == oid_qc_type) {
      qc.types.push_back(std::move(*text));
    } else if (!qc.semantics) {
      qc.semantics = std::move(*text);
    }
  }
  return {};
}

/// QCStatements ::= SEQUENCE OF SEQUENCE { statementId OBJECT IDENTIFIER, statementInfo ANY OPTIONAL } (RFC 3739, 3.2.6).
Status read_qc_statements(CertificateFacts& facts) {
  const ExtensionFacts* extension = facts.extension(oid_qc_statements);
  if (extension == nullptr) return {};
  auto statements = detail::read_sequence(extension->value);
  if (!statements) return statements.error();
  for (const Bytes& statement : *statements) {
    auto members = detail::read_sequence(statement);
    if (!members) return members.error();
    if (members->empty() || members->size() > 2)
      return Error{ErrorCode::invalid_request, "a QcStatement has an identifier and at most one value"};
    auto oid = detail::read_oid_element(members->front());
    if (!oid) return oid.error();
    if (members->size() == 2) {
      if (auto read = read_statement(*oid, members->back(), facts.qc); !read) return read;
    }
    facts.qc.statements.push_back(std::move(*oid));
  }
  return {};
}

Result<std::vector<NamePart>> parts_of(const X509_NAME* name) {
  std::vector<NamePart> parts;
  int last_set = -1;
  for (int index = 0; index < X509_NAME_entry_count(name); ++index) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, index);
    const int set = X509_NAME_ENTRY_set(entry);
    if (set == last_set) return Error{ErrorCode::invalid_request, "a relative distinguished name of several attributes"};
    last_set = set;
    const ASN1_STRING* value = X509_NAME_ENTRY_get_data(entry);
    parts.push_back({detail::read_oid(X509_NAME_ENTRY_get_object(entry)), detail::read_text(value), ASN1_STRING_type(value)});
  }
  return parts;
}

std::vector<ExtensionFacts> extensions_of(const X509* certificate) {
  std::vector<ExtensionFacts> extensions;
  for (int index = 0; index < X509_get_ext_count(certificate); ++index) {
    X509_EXTENSION* extension = X509_get_ext(certificate, index);
    extensions.push_back({detail::read_oid(X509_EXTENSION_get_object(extension)), X509_EXTENSION_get_critical(extension) == 1,
                          detail::read_string(X509_EXTENSION_get_data(extension))});
  }
  return extensions;
}

std::string algorithm_oid(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  return detail::read_oid(object);
}

}  // namespace

bool QcFacts::states(std::string_view oid) const noexcept {
  return std::find(statements.begin(), statements.end(), oid) != statements.end();
}

const ExtensionFacts* CertificateFacts::extension(std::string_view oid) const noexcept {
  const auto found = std::find_if(extensions.begin(), extensions.end(), [&](const ExtensionFacts& each) { return each.oid == oid; });
  return found == extensions.end() ? nullptr : &*found;
}

Result<std::vector<NameAttribute>> parse_name(ByteView der) {
  const unsigned char* at = der.data();
  const std::unique_ptr<X509_NAME, Freed<X509_NAME_free>> name(der.empty() ? nullptr
                                                                           : d2i_X509_NAME(nullptr, &at, detail::int_size(der.size())));
  if (!name || at != der.data() + der.size()) return refusal(ErrorCode::invalid_request, "a Name does not parse");
  auto parts = parts_of(name.get());
  if (!parts) return parts.error();
  std::vector<NameAttribute> attributes;
  for (NamePart& part : *parts) attributes.push_back({std::move(part.oid), std::move(part.value)});
  return attributes;
}

Result<CertificateFacts> inspect(const Certificate& certificate) {
  X509* native = certificate.native();
  auto subject = parts_of(X509_get_subject_name(native));
  if (!subject) return subject.error();
  auto not_before = detail::read_time(X509_get0_notBefore(native));
  auto not_after = detail::read_time(X509_get0_notAfter(native));
  if (!not_before) return not_before.error();
  if (!not_after) return not_after.error();
  const X509_ALGOR* outer = nullptr;
  X509_get0_signature(nullptr, &outer, native);
  const ASN1_INTEGER* serial = X509_get0_serialNumber(native);

  CertificateFacts facts{};
  facts.version = X509_get_version(native) + 1;
  facts.serial = detail::read_string(serial);
  facts.serial_negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
  facts.signature_algorithm = algorithm_oid(outer);
  facts.inner_signature_algorithm = algorithm_oid(X509_get0_tbs_sigalg(native));
  facts.issuer_der = certificate.issuer_der();
  facts.subject_der = certificate.subject_der();
  facts.subject = std::move(*subject);
  facts.not_before = *not_before;
  facts.not_after = *not_after;
  facts.utc_times =
      ASN1_STRING_type(X509_get0_notBefore(native)) == V_ASN1_UTCTIME && ASN1_STRING_type(X509_get0_notAfter(native)) == V_ASN1_UTCTIME;
  facts.spki = detail::encode_with(X509_get_X509_PUBKEY(native), i2d_X509_PUBKEY);
  facts.extensions = extensions_of(native);
  for (const auto read :
       {read_key_usage, read_extended_key_usage, read_key_ids, read_policies, read_addresses, read_constraints, read_private_key_period}) {
    if (auto done = read(native, facts); !done) return done.error();
  }
  if (auto done = read_qc_statements(facts); !done) return done.error();
  return facts;
}

}  // namespace intaglio::crypto
