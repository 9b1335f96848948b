#pragma once

#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/public_key.h"

namespace intaglio::crypto {

/// Something that signs with one service key. `pki`, `oauth` and `audit` receive this and never a token; `apps/` join both.
/// Thread-safe.
class Signer {
 public:
  virtual ~Signer() = default;
  [[nodiscard]] virtual const PublicKey& public_key() const noexcept = 0;
  /// DER ECDSA-Sig-Value for EC, the plain block for RSA.
  [[nodiscard]] virtual Result<Bytes> sign_digest(SignatureSuite suite, ByteView digest) const = 0;
  /// Digest of the suite's hash over the message, then sign_digest.
  [[nodiscard]] Result<Bytes> sign(SignatureSuite suite, ByteView message) const;
};

/// The private half of a P-256 key agreement; the SAM's stands in the token. Thread-safe.
class KeyAgreement {
 public:
  virtual ~KeyAgreement() = default;
  [[nodiscard]] virtual const PublicKey& public_key() const noexcept = 0;
  /// `peer`: an uncompressed P-256 point that the caller has checked to be on the curve. Gives Z, 32 bytes (SP 800-56A).
  [[nodiscard]] virtual Result<Secret> agree(ByteView peer) const = 0;
};

/// A key in software: RA operators' and clients' own keys, ephemeral keys, tests. Never a key of the SAM.
class SoftwareKey final : public Signer, public KeyAgreement {
 public:
  /// RSA takes up to seconds.
  [[nodiscard]] static Result<std::shared_ptr<SoftwareKey>> generate(KeyAlgorithm algorithm = KeyAlgorithm::p256);
  /// PKCS#8, PEM, unencrypted, on P-256.
  [[nodiscard]] static Result<std::shared_ptr<SoftwareKey>> parse_pem(const Secret& pem);
  [[nodiscard]] Result<Secret> encode_pem() const;
  [[nodiscard]] const PublicKey& public_key() const noexcept override { return public_; }
  [[nodiscard]] Result<Bytes> sign_digest(SignatureSuite suite, ByteView digest) const override;
  /// Refused (`algorithm_refused`) unless this key is on P-256.
  [[nodiscard]] Result<Secret> agree(ByteView peer) const override;
  SoftwareKey(std::shared_ptr<evp_pkey_st> key, PublicKey public_key);  ///< for crypto/ alone

 private:
  std::shared_ptr<evp_pkey_st> key_;
  PublicKey public_;
};

}  // namespace intaglio::crypto
