#pragma once

#include "custody/wrapped/sealed_key.h"
#include "token/wrapping.h"

namespace intaglio::custody {

/// How a kind of module keeps signers' keys outside itself and takes the signer's secret as the condition for opening one.
/// `lock`: 32 bytes or more that are derived from the signer's secret and kept nowhere; refused (`invalid_request`) when shorter.
/// Thread-safe.
class BlobProvider {
 public:
  virtual ~BlobProvider() = default;
  /// Stands in the records, so that a key goes back to the provider that sealed it.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// As KeyVault::key_authorisation: "emulated" where the module itself does not demand the secret.
  [[nodiscard]] virtual std::string key_authorisation() const = 0;

  /// A new key pair, sealed for this binding under this lock; nothing of it stays in the token.
  [[nodiscard]] virtual Result<SealedPair> generate(const KeyBinding& binding, crypto::KeyAlgorithm algorithm, const Secret& lock) = 0;
  /// `authentication_failed`: a wrong lock, the one refusal that counts as an attempt. `storage_unavailable`: the row is damaged,
  /// another key's or of another binding. `token_unavailable`: the token fails; nobody's fault.
  [[nodiscard]] virtual Result<token::ActivatedKey> activate(const KeyBinding& binding, const crypto::PublicKey& expected,
                                                             const SealedKey& sealed, const Secret& lock) = 0;
  /// The key of `old` for the binding and the lock of from now on, under a new keypass. The caller replaces the row, and its
  /// sealed state knows which row is the latest: the old row with the old lock is a copy of the key as it was.
  [[nodiscard]] virtual Result<SealedKey> change_lock(const KeyBinding& old_binding, const KeyBinding& new_binding,
                                                      const crypto::PublicKey& expected, const SealedKey& old, const Secret& old_lock,
                                                      const Secret& new_lock) = 0;
};

}  // namespace intaglio::custody
