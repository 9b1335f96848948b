#pragma once

#include <memory>

#include "base/bytes.h"
#include "crypto/algorithms.h"
#include "crypto/digest.h"

struct evp_pkey_st;

namespace intaglio::crypto {

/// A public key of one of the algorithms that we serve; a value, cheap to copy.
class PublicKey {
 public:
  /// SubjectPublicKeyInfo, DER (RFC 5280 section 4.1.2.7). Refused: other algorithms and sizes, explicit curve parameters,
  /// a point off its curve, an RSA exponent that is even or at most 2^16 (TS 119 312, 6.2.2.1).
  [[nodiscard]] static Result<PublicKey> parse_spki(ByteView der);
  [[nodiscard]] static Result<PublicKey> from_rsa(ByteView modulus, ByteView exponent);
  /// `point`: uncompressed, 0x04 | x | y.
  [[nodiscard]] static Result<PublicKey> from_ec_point(KeyAlgorithm curve, ByteView point);

  [[nodiscard]] const Bytes& spki() const noexcept { return *spki_; }
  [[nodiscard]] Sha256Digest thumbprint() const;  ///< SHA-256 over spki()
  [[nodiscard]] KeyAlgorithm algorithm() const noexcept { return algorithm_; }
  [[nodiscard]] Result<Bytes> ec_point() const;  ///< uncompressed

  /// `signature`: DER ECDSA-Sig-Value for EC, the plain block for RSA. Refused (`invalid_request`) when it does not verify.
  [[nodiscard]] Status verify_digest(SignatureSuite suite, ByteView digest, ByteView signature) const;
  [[nodiscard]] Status verify(SignatureSuite suite, ByteView message, ByteView signature) const;
  [[nodiscard]] evp_pkey_st* native() const noexcept { return key_.get(); }  ///< for crypto/ alone

 private:
  PublicKey(std::shared_ptr<evp_pkey_st> key, Bytes spki, KeyAlgorithm algorithm);
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<const Bytes> spki_;
  KeyAlgorithm algorithm_;
};

/// ECDSA r|s (PKCS#11, JOSE) to DER ECDSA-Sig-Value and back; `bytes` is one coordinate's length.
[[nodiscard]] Result<Bytes> ecdsa_to_der(ByteView raw);
[[nodiscard]] Result<Bytes> ecdsa_to_raw(ByteView der, std::size_t coordinate_bytes);

}  // namespace intaglio::crypto
