#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "crypto/public_key.h"
#include "custody/activation.h"

namespace intaglio::custody {

/// Why the vault gave no signature. `definite`: the key certainly did not sign, so the occurrence may be given back (TC-4).
struct VaultRefusal {
  Error error;
  bool definite;
};

/// A signature that was verified with the key's public half (TC-5), or the refusal.
struct VaultOutcome {
  std::optional<Bytes> signature;
  std::optional<VaultRefusal> refusal;
};

/// What signs by an activation: a vault, or one key of it that was opened (wrapped/vault.h). `sam` signs through this alone,
/// whatever the mode of custody.
class ActivationSigner {
 public:
  virtual ~ActivationSigner() = default;
  /// Consumes the activation. `certified` is the key of the bound certificate: a token key that differs does not sign.
  [[nodiscard]] virtual VaultOutcome sign(Activation activation, const crypto::PublicKey& certified) = 0;
};

/// Where signers' keys live that need no secret of the signer's to be opened: resident in the token, or of one session.
class KeyVault : public ActivationSigner {
 public:
  /// A new key pair under this id. Its private half never leaves the token.
  [[nodiscard]] virtual Result<crypto::PublicKey> generate(const KeyId& key, crypto::KeyAlgorithm algorithm) = 0;
  /// PKCS#10 for this key and subject: the one signature before a certificate is bound, over bytes composed here
  /// (SRC_SKS.1.4). `subject_der`: a Name.
  [[nodiscard]] virtual Result<Bytes> make_certificate_request(const KeyId& key, const SignerId& owner, ByteView subject_der) = 0;
  /// The object is gone from the token when this succeeds; it was searched for again.
  virtual Status destroy(const KeyId& key) = 0;
  /// How the signer's secret takes part (TC-6): "emulated" where the module has no per-key authorisation.
  [[nodiscard]] virtual std::string key_authorisation() const = 0;
};

}  // namespace intaglio::custody
