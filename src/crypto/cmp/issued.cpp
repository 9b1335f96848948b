#include "crypto/cmp/issued.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/inspection.h"

namespace intaglio::crypto {
namespace {

constexpr std::size_t longest_serial = 20;                   // RFC 5280, 4.1.2.2
constexpr std::string_view subject_alt_name = "2.5.29.17";  // RFC 5280, 4.2.1.6

Error fault(std::string detail) { return {ErrorCode::certificate_invalid, std::move(detail)}; }

/// The same attributes with the same values in the same order. An authority may write them as another string type.
bool same_subject(ByteView left, ByteView right) {
  const auto one = parse_name(left);
  const auto other = parse_name(right);
  return one && other && !one->empty() &&
         std::ranges::equal(*one, *other, [](const auto& a, const auto& b) { return a.oid == b.oid && a.value == b.value; });
}

Status check_content(const CertificateFacts& facts, const CertificateRequest& request, const IssuedRules& rules) {
  if (refused_by("cmp.issued.key", facts.spki != request.key.spki())) return fault("the CA certified another key than the request's");
  if (refused_by("cmp.issued.subject", !same_subject(facts.subject_der, request.subject_der)))
    return fault("the CA certified another subject than the request's");
  if (refused_by("cmp.issued.authority", facts.is_ca.value_or(false))) return fault("the certificate is an authority's");
  // EN 319 412-2, 4.3.2, type A: what signs content serves nothing else.
  if (refused_by("cmp.issued.key_usage", !facts.key_usage || *facts.key_usage != std::vector<std::string>{"nonRepudiation"}))
    return fault("the certificate's keyUsage is not nonRepudiation alone");
  // A name that nobody verified, and that signatures would then be read under.
  if (refused_by("cmp.issued.alternative_name", facts.extension(subject_alt_name) != nullptr))
    return fault("the certificate has a subjectAltName that was not asked for");
  const bool purposes = std::ranges::all_of(facts.extended_key_usage, [&](const std::string& purpose) {
    return std::ranges::find(rules.extended_key_usages, purpose) != rules.extended_key_usages.end();
  });
  if (refused_by("cmp.issued.purpose", !purposes)) return fault("the certificate has an extendedKeyUsage that was not asked for");
  if (refused_by("cmp.issued.validity", facts.not_after - facts.not_before > rules.longest_validity))
    return fault("the certificate is valid longer than is allowed here");
  const bool zero = std::ranges::all_of(facts.serial, [](std::uint8_t octet) { return octet == 0; });
  if (refused_by("cmp.issued.serial", facts.serial_negative || zero || facts.serial.size() > longest_serial))
    return fault("the certificate's serial number is not positive or longer than 20 octets");
  return {};
}

}  // namespace

Result<std::vector<Bytes>> check_issued(const Issued& issued, const CertificateRequest& request, const IssuedRules& rules, UnixTime now) {
  const auto facts = inspect(issued.certificate);
  if (!facts) return fault("the certificate does not parse: " + facts.error().detail);
  if (auto content = check_content(*facts, request, rules); !content) return content.error();
  const auto issuer = std::ranges::find_if(
      rules.issuers, [&](const Certificate& candidate) { return static_cast<bool>(issued.certificate.verify_issued_by(candidate)); });
  const bool known = issuer != rules.issuers.end();
  if (refused_by("cmp.issued.issuer", !known)) return fault("the certificate is not of a configured issuer");
  std::vector<Certificate> intermediates = rules.issuers;
  intermediates.insert(intermediates.end(), issued.others.begin(), issued.others.end());
  const auto path = verify_chain(issued.certificate, intermediates, rules.anchors, now);
  if (refused_by("cmp.issued.path", !path)) return path.error();
  std::vector<Bytes> kept{issued.certificate.der()};
  if (known) kept.push_back(issuer->der());
  return kept;
}

Result<std::vector<Bytes>> check_issued_chain(const std::vector<Bytes>& certificates, const CertificateRequest& request,
                                              const IssuedRules& rules, UnixTime now) {
  std::vector<Certificate> parsed;
  for (const auto& der : certificates) {
    auto certificate = Certificate::parse_der(der);
    if (!certificate) return certificate.error();
    parsed.push_back(std::move(*certificate));
  }
  if (parsed.empty()) return fault("no certificate");
  return check_issued({parsed.front(), {parsed.begin() + 1, parsed.end()}}, request, rules, now);
}

}  // namespace intaglio::crypto
