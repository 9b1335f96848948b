#pragma once

#include <vector>

#include "crypto/inspection.h"
#include "crypto/signer.h"

namespace intaglio::pki {

/// The suite of every signature of this PKI: its keys are P-256.
inline constexpr crypto::SignatureSuite issuing_suite = crypto::SignatureSuite::ecdsa_sha256;

/// What a TBSCertificate is made of (RFC 5280 section 4.1.2), before it is encoded.
struct CertificateTemplate {
  Bytes serial;  ///< magnitude, big-endian
  Bytes issuer_der, subject_der;
  UnixTime not_before, not_after;
  Bytes spki;
  std::vector<crypto::ExtensionFacts> extensions;
};

/// 20 octets, positive: 158 bits of randomness (RFC 5280, 4.1.2.2 allows 20 octets at most).
[[nodiscard]] Result<Bytes> random_serial();
[[nodiscard]] Bytes encode_tbs(const CertificateTemplate& content);
/// Signs, assembles, parses back and checks the signature with the signer's public key.
[[nodiscard]] Result<crypto::Certificate> sign_certificate(const CertificateTemplate& content, const crypto::Signer& signer);

}  // namespace intaglio::pki
