#include "pki/tsa/unit.h"

#include "base/check.h"
#include "pki/ca/extensions.h"
#include "pki/ca/identity.h"

namespace intaglio::pki {

Result<CertificateTemplate> make_unit_template(const UnitProfile& profile, const crypto::PublicKey& key, const Issuer& issuer,
                                               std::string_view public_url, UnixTime begin, UnixTime end) {
  auto serial = random_serial();
  if (!serial) return serial.error();
  // EN 319 422, 6.2: the provider's country and organisation, and a name of the unit's own.
  std::vector<crypto::NameAttribute> name;
  for (const std::string_view oid : {oid_country, oid_organisation}) {
    if (const auto value = issuer.certificate.subject_attribute(oid)) name.push_back({std::string(oid), *value});
  }
  name.push_back({std::string(oid_common_name), profile.common_name});
  auto subject = crypto::encode_name(name);
  if (!subject) return subject.error();
  const std::string url(public_url);
  CertificateTemplate content{
      std::move(*serial),
      issuer.facts.subject_der,
      std::move(*subject),
      begin,
      end,
      key.spki(),
      {authority_key_identifier(*issuer.facts.subject_key_id), subject_key_identifier(key), key_usage({"digitalSignature"}),
       time_stamping_usage(), private_key_usage_period(begin, std::min<UnixTime>(begin + profile.key_usage, end)),
       crl_distribution_point(url + "/crl/issuing.crl"), authority_information_access(url + "/ocsp", url + "/ca/issuing.cer")}};
  std::vector<crypto::PolicyFacts> policies;
  policies.reserve(profile.certificate_policies.size());
  for (const std::string& oid : profile.certificate_policies) policies.push_back({oid, {}});
  if (!policies.empty()) content.extensions.push_back(certificate_policies(policies));
  return content;
}

Status check_unit_certificate(const crypto::CertificateFacts& facts) {
  const auto refuse = [](std::string_view why) {
    return Error{ErrorCode::certificate_invalid, "a time-stamping unit's certificate: " + std::string(why)};
  };
  const crypto::ExtensionFacts* usage = facts.extension("2.5.29.37");
  const bool alone =
      usage != nullptr && usage->critical && facts.extended_key_usage == std::vector<std::string>{std::string(oid_time_stamping)};
  if (refused_by("tsa.unit.extended_key_usage", !alone))
    return refuse("extKeyUsage is not id-kp-timeStamping alone and critical (RFC 3161, 2.3)");
  const crypto::ExtensionFacts* bits = facts.extension("2.5.29.15");
  const bool signs = bits != nullptr && bits->critical && facts.key_usage == std::vector<std::string>{"digitalSignature"};
  if (refused_by("tsa.unit.key_usage", !signs)) return refuse("keyUsage is not digitalSignature alone and critical (EN 319 422, 6)");
  if (refused_by("tsa.unit.not_a_ca", facts.is_ca.value_or(false))) return refuse("it is an authority's");
  const bool ends =
      facts.private_key_not_after && *facts.private_key_not_after <= facts.not_after && *facts.private_key_not_after > facts.not_before;
  if (refused_by("tsa.unit.key_period", !ends))
    return refuse("privateKeyUsagePeriod is missing, or not within the validity (EN 319 421, 7.7.1)");
  return {};
}

}  // namespace intaglio::pki
