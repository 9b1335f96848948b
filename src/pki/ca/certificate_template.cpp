#include "pki/ca/certificate_template.h"

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/random.h"
#include "pki/ca/extensions.h"

namespace intaglio::pki {

namespace der = crypto::der;

namespace {

Bytes encode_tbs(const CertificateTemplate& content, crypto::SignatureSuite suite) {
  return der::sequence({der::explicit_tag(0, der::integer(std::uint64_t{2})), der::integer(content.serial),
                        crypto::algorithm_identifier(suite), content.issuer_der,
                        der::sequence({der::time(content.not_before), der::time(content.not_after)}), content.subject_der, content.spki,
                        der::explicit_tag(3, encode_extensions(content.extensions))});
}

}  // namespace

Result<Bytes> random_serial() {
  auto serial = crypto::random_bytes(20);
  if (!serial) return serial.error();
  // The first bit zero keeps it positive, the second one keeps its length: a serial is neither negative nor shortened.
  serial->front() = static_cast<std::uint8_t>((serial->front() & 0x3FU) | 0x40U);
  return serial;
}

crypto::SignatureSuite suite_of(const crypto::PublicKey& key) noexcept {
  using crypto::KeyAlgorithm;
  using crypto::SignatureSuite;
  switch (key.algorithm()) {
    case KeyAlgorithm::p256: return SignatureSuite::ecdsa_sha256;
    case KeyAlgorithm::p384: return SignatureSuite::ecdsa_sha384;
    case KeyAlgorithm::p521: return SignatureSuite::ecdsa_sha512;
    case KeyAlgorithm::rsa2048:
    case KeyAlgorithm::rsa3072: return SignatureSuite::rsa_pss_sha256;
    case KeyAlgorithm::rsa4096: return SignatureSuite::rsa_pss_sha384;
  }
  panic("a key algorithm that does not exist");
}

std::string_view signature_oid(crypto::SignatureSuite suite) noexcept {
  using crypto::SignatureSuite;
  switch (suite) {
    case SignatureSuite::ecdsa_sha256: return "1.2.840.10045.4.3.2";
    case SignatureSuite::ecdsa_sha384: return "1.2.840.10045.4.3.3";
    case SignatureSuite::ecdsa_sha512: return "1.2.840.10045.4.3.4";
    case SignatureSuite::rsa_pss_sha256:
    case SignatureSuite::rsa_pss_sha384:
    case SignatureSuite::rsa_pss_sha512: return "1.2.840.113549.1.1.10";
    case SignatureSuite::rsa_pkcs1_sha256:
    case SignatureSuite::rsa_pkcs1_sha384:
    case SignatureSuite::rsa_pkcs1_sha512: break;
  }
  panic("an authority does not sign with that suite");
}

Result<crypto::Certificate> sign_certificate(const CertificateTemplate& content, const crypto::Signer& signer,
                                             crypto::SignatureSuite suite) {
  const Bytes tbs = encode_tbs(content, suite);
  auto signature = signer.sign(suite, tbs);
  if (!signature) return signature.error();
  if (auto verified = signer.public_key().verify(suite, tbs, *signature); !verified) {
    return Error{ErrorCode::signature_doubtful, "the signature over a certificate does not verify"};
  }
  return crypto::Certificate::parse_der(crypto::assemble_signed(tbs, suite, *signature));
}

}  // namespace intaglio::pki
