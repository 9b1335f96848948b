#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "crypto/algorithms.h"
#include "crypto/digest.h"

namespace intaglio::sam {
class Verifier;
}

namespace intaglio::custody {

class VerifiedSigning;

/// The right to make one signature over these bytes with this key: what the signer authorised, as the SAM's own sealed
/// record holds it (TC-2). Move-only; signing consumes it. No public constructor: a path to C_Sign without a verified SAD
/// does not compile (TC-1).
class Activation {
 public:
  Activation(Activation&&) noexcept = default;
  Activation& operator=(Activation&&) noexcept = default;
  Activation(const Activation&) = delete;
  Activation& operator=(const Activation&) = delete;

  [[nodiscard]] const KeyId& key() const noexcept { return key_; }
  [[nodiscard]] const SignerId& signer() const noexcept { return signer_; }
  [[nodiscard]] crypto::SignatureSuite suite() const noexcept { return suite_; }
  [[nodiscard]] const Bytes& digest() const noexcept { return digest_; }

 private:
  friend class sam::Verifier;    // the one exception of the room map
  friend class VerifiedSigning;  // proof of possession over a CSR composed there
  Activation(KeyId key, SignerId signer, crypto::SignatureSuite suite, Bytes digest)
      : key_(std::move(key)), signer_(std::move(signer)), suite_(suite), digest_(std::move(digest)) {}

  KeyId key_;
  SignerId signer_;
  crypto::SignatureSuite suite_;
  Bytes digest_;
};

}  // namespace intaglio::custody
