#include "ssa/signed_attributes.h"

#include "crypto/cms.h"
#include "crypto/digest.h"

namespace intaglio::ssa {

Result<std::vector<crypto::Certificate>> certificates_of(const Credential& credential) {
  std::vector<crypto::Certificate> certificates;
  for (const auto& der : credential.facts.certificates) {
    auto parsed = crypto::Certificate::parse_der(der);
    if (!parsed) return parsed.error();
    certificates.push_back(std::move(*parsed));
  }
  if (certificates.empty()) return Error{ErrorCode::certificate_invalid, "no certificate is bound to the key"};
  return certificates;
}

Result<SignedAttributes> signed_attributes(const crypto::Certificate& signer, crypto::HashAlgorithm hash, ByteView document_digest) {
  auto encoded = crypto::cms_signed_attributes(document_digest, hash, signer);
  if (!encoded) return encoded.error();
  auto digest = crypto::digest(hash, *encoded);
  return SignedAttributes{std::move(*encoded), std::move(digest)};
}

}  // namespace intaglio::ssa
