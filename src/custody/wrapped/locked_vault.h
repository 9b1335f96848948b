#pragma once

#include <memory>
#include <string>

#include "base/secret.h"
#include "custody/vault.h"
#include "custody/wrapped/sealed_key.h"

namespace intaglio::custody {

/// Where signers' keys are opened that need the signer's secret (TC-6): the counterpart of KeyVault. A key is kept by the caller, as
/// a row of SealedKeyStore; `lock`: 32 bytes or more that are derived from the signer's secret and kept nowhere. Thread-safe.
class LockedVault {
 public:
  virtual ~LockedVault() = default;
  /// A new key pair, sealed for this binding under this lock; nothing of it stays in the token.
  [[nodiscard]] virtual Result<SealedPair> generate(const KeyBinding& binding, crypto::KeyAlgorithm algorithm, const Secret& lock) = 0;
  /// As KeyVault::make_certificate_request; opens the key for this one signature.
  [[nodiscard]] virtual Result<Bytes> make_certificate_request(const KeyBinding& binding, const crypto::PublicKey& public_key,
                                                               const SealedKey& sealed, const Secret& lock, ByteView subject_der) = 0;
  /// Opens the key for `batch` signatures, at least one; it is destroyed in the token when what is returned ends. Refusals are those
  /// of BlobProvider::activate: nothing was signed then.
  [[nodiscard]] virtual Result<std::unique_ptr<ActivationSigner>> open(const KeyBinding& binding, const crypto::PublicKey& certified,
                                                                       const SealedKey& sealed, const Secret& lock, std::size_t batch) = 0;
  /// See BlobProvider::change_lock.
  [[nodiscard]] virtual Result<SealedKey> change_lock(const KeyBinding& old_binding, const KeyBinding& new_binding,
                                                      const crypto::PublicKey& expected, const SealedKey& old, const Secret& old_lock,
                                                      const Secret& new_lock) = 0;
  /// As KeyVault::key_authorisation.
  [[nodiscard]] virtual std::string key_authorisation() const = 0;
  /// Name of the provider that sealed a key; stands in the key's row.
  [[nodiscard]] virtual std::string_view provider() const noexcept = 0;
};

}  // namespace intaglio::custody
