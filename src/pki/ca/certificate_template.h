#pragma once

#include <vector>

#include "crypto/inspection.h"
#include "crypto/signer.h"

namespace intaglio::pki {

/// The one suite with which a key of this PKI signs: ECDSA with a hash as long as the curve, RSASSA-PSS with SHA-256, or with SHA-384
/// from 4096 bits on (TS 119 312, 7.3).
[[nodiscard]] crypto::SignatureSuite suite_of(const crypto::PublicKey& key) noexcept;
/// The signature's algorithm in a certificate, dotted.
[[nodiscard]] std::string_view signature_oid(crypto::SignatureSuite suite) noexcept;

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
/// Signs, assembles, parses back and checks the signature with the signer's public key.
[[nodiscard]] Result<crypto::Certificate> sign_certificate(const CertificateTemplate& content, const crypto::Signer& signer,
                                                           crypto::SignatureSuite suite);
[[nodiscard]] inline Result<crypto::Certificate> sign_certificate(const CertificateTemplate& content, const crypto::Signer& signer) {
  return sign_certificate(content, signer, suite_of(signer.public_key()));
}

}  // namespace intaglio::pki
