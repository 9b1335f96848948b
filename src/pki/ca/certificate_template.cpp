#include "pki/ca/certificate_template.h"

#include "crypto/der.h"
#include "crypto/random.h"
#include "pki/ca/extensions.h"

namespace intaglio::pki {

namespace der = crypto::der;

Result<Bytes> random_serial() {
  auto serial = crypto::random_bytes(20);
  if (!serial) return serial.error();
  // The first bit zero keeps it positive, the second one keeps its length: a serial is neither negative nor shortened.
  serial->front() = static_cast<std::uint8_t>((serial->front() & 0x3FU) | 0x40U);
  return serial;
}

Bytes encode_tbs(const CertificateTemplate& content) {
  return der::sequence({der::explicit_tag(0, der::integer(std::uint64_t{2})), der::integer(content.serial),
                        crypto::algorithm_identifier(issuing_suite), content.issuer_der,
                        der::sequence({der::time(content.not_before), der::time(content.not_after)}), content.subject_der, content.spki,
                        der::explicit_tag(3, encode_extensions(content.extensions))});
}

Result<crypto::Certificate> sign_certificate(const CertificateTemplate& content, const crypto::Signer& signer) {
  const Bytes tbs = encode_tbs(content);
  auto signature = signer.sign(issuing_suite, tbs);
  if (!signature) return signature.error();
  if (auto verified = signer.public_key().verify(issuing_suite, tbs, *signature); !verified) {
    return Error{ErrorCode::signature_doubtful, "the signature over a certificate does not verify"};
  }
  return crypto::Certificate::parse_der(crypto::assemble_signed(tbs, issuing_suite, *signature));
}

}  // namespace intaglio::pki
