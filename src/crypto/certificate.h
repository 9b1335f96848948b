#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/public_key.h"

struct x509_st;

namespace intaglio::crypto {

/// An X.509 certificate (RFC 5280); a value, cheap to copy.
class Certificate {
 public:
  [[nodiscard]] static Result<Certificate> parse_der(ByteView der);  ///< at most 64 KiB, no trailing bytes
  [[nodiscard]] static Result<Certificate> parse_pem(std::string_view pem);
  [[nodiscard]] const Bytes& der() const noexcept { return *der_; }
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] Sha256Digest fingerprint() const;
  [[nodiscard]] Result<PublicKey> public_key() const;
  [[nodiscard]] UnixTime not_before() const;
  [[nodiscard]] UnixTime not_after() const;
  [[nodiscard]] std::string subject() const;  ///< RFC 4514
  [[nodiscard]] std::string issuer() const;   ///< RFC 4514
  [[nodiscard]] Bytes subject_der() const;
  [[nodiscard]] Bytes issuer_der() const;
  [[nodiscard]] std::string serial_hex() const;  ///< lower case, whole octets
  [[nodiscard]] Bytes serial_der() const;        ///< INTEGER
  /// First value of the attribute type (dotted OID), UTF-8; for example 2.5.4.3 commonName, 2.5.4.5 serialNumber.
  [[nodiscard]] std::optional<std::string> subject_attribute(std::string_view oid) const;
  /// Signed by this issuer's key, issuer name equal.
  [[nodiscard]] Status verify_issued_by(const Certificate& issuer) const;
  [[nodiscard]] x509_st* native() const noexcept { return certificate_.get(); }  ///< for crypto/ alone

 private:
  Certificate(std::shared_ptr<x509_st> certificate, Bytes der);
  std::shared_ptr<x509_st> certificate_;
  std::shared_ptr<const Bytes> der_;
};

/// Path from `leaf` over `intermediates` to one of `anchors` at time `at` (RFC 5280 section 6; partial chains end at an
/// anchor). Revocation is the caller's.
[[nodiscard]] Status verify_chain(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                                  const std::vector<Certificate>& anchors, UnixTime at);

/// PKCS#10 (RFC 2986).
struct CertificateRequest {
  PublicKey key;
  Bytes subject_der;
};
/// Parses and checks the proof of possession.
[[nodiscard]] Result<CertificateRequest> parse_csr(ByteView der);

/// The attributes of a subject in the order in which they are written (EN 319 412-2, 4.2.4).
struct NameAttribute {
  std::string oid;   ///< dotted
  std::string value; ///< UTF-8; countryName and serialNumber are written as PrintableString
};
[[nodiscard]] Result<Bytes> encode_name(const std::vector<NameAttribute>& attributes);
/// CertificationRequestInfo (RFC 2986, 4.1), DER: what the proof of possession signs.
[[nodiscard]] Result<Bytes> encode_csr_info(ByteView subject_der, const PublicKey& key);
/// The whole request from its info and the signature (DER or RSA block) made over it.
[[nodiscard]] Result<Bytes> assemble_csr(ByteView info, SignatureSuite suite, ByteView signature);
/// AlgorithmIdentifier of a suite, DER (RFC 4055, 5758).
[[nodiscard]] Bytes algorithm_identifier(SignatureSuite suite);
/// AlgorithmIdentifier of a hash with its parameters absent, DER (RFC 5754, 2).
[[nodiscard]] Bytes digest_identifier(HashAlgorithm hash);
/// SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }: the form of certificates, CRLs, requests and OCSP responses alike.
[[nodiscard]] Bytes assemble_signed(ByteView tbs, SignatureSuite suite, ByteView signature);

}  // namespace intaglio::crypto
