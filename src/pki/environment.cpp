#include "pki/environment.h"

namespace intaglio::pki {

Result<Issuer> Issuer::make(crypto::Certificate certificate, std::shared_ptr<const crypto::Signer> signer) {
  auto facts = crypto::inspect(certificate);
  if (!facts) return facts.error();
  if (facts->spki != signer->public_key().spki()) return Error{ErrorCode::configuration, "the issuing certificate is of another key"};
  const auto may = [&](std::string_view use) {
    return facts->key_usage && std::find(facts->key_usage->begin(), facts->key_usage->end(), use) != facts->key_usage->end();
  };
  if (!facts->is_ca.value_or(false) || !may("keyCertSign") || !may("cRLSign") || !facts->subject_key_id) {
    return Error{ErrorCode::configuration,
                 "the issuing certificate is not an authority's: basicConstraints, keyUsage or subjectKeyIdentifier"};
  }
  return Issuer{std::move(certificate), std::move(*facts), std::move(signer)};
}

}  // namespace intaglio::pki
