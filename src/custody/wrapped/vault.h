#pragma once

#include "custody/verified_signing.h"
#include "custody/wrapped/blob_provider.h"
#include "custody/wrapped/locked_vault.h"

namespace intaglio::custody {

/// A signer's key that was opened for one batch, and is destroyed in the token when this ends. It signs what names this key and
/// this signer, as often as the batch has digests, and nothing more. Holds one session of the token's pool. One thread.
class OpenedKey final : public ActivationSigner {
 public:
  [[nodiscard]] VaultOutcome sign(Activation activation, const crypto::PublicKey& certified) override;

 private:
  friend class WrappedVault;
  OpenedKey(std::shared_ptr<VerifiedSigning> signing, KeyId key, SignerId owner, token::ActivatedKey activated, std::size_t batch)
      : signing_(std::move(signing)), key_(std::move(key)), owner_(std::move(owner)), activated_(std::move(activated)), left_(batch) {}

  std::shared_ptr<VerifiedSigning> signing_;
  KeyId key_;
  SignerId owner_;
  token::ActivatedKey activated_;
  std::size_t left_;
};

/// Signers' keys outside the token, each opened with the signer's secret for one batch (trust-core, section 3), over a provider of
/// blobs. Where they are kept is the caller's: a row of its database, whose version its sealed state knows.
class WrappedVault final : public LockedVault {
 public:
  WrappedVault(std::shared_ptr<token::Token> token, std::unique_ptr<BlobProvider> provider)
      : signing_(std::make_shared<VerifiedSigning>(std::move(token))), provider_(std::move(provider)) {}

  [[nodiscard]] Result<SealedPair> generate(const KeyBinding& binding, crypto::KeyAlgorithm algorithm, const Secret& lock) override {
    return provider_->generate(binding, algorithm, lock);
  }
  [[nodiscard]] Result<Bytes> make_certificate_request(const KeyBinding& binding, const crypto::PublicKey& public_key,
                                                       const SealedKey& sealed, const Secret& lock, ByteView subject_der) override;
  [[nodiscard]] Result<std::unique_ptr<ActivationSigner>> open(const KeyBinding& binding, const crypto::PublicKey& certified,
                                                               const SealedKey& sealed, const Secret& lock, std::size_t batch) override;
  [[nodiscard]] Result<SealedKey> change_lock(const KeyBinding& old_binding, const KeyBinding& new_binding,
                                              const crypto::PublicKey& expected, const SealedKey& old, const Secret& old_lock,
                                              const Secret& new_lock) override {
    return provider_->change_lock(old_binding, new_binding, expected, old, old_lock, new_lock);
  }
  [[nodiscard]] std::string key_authorisation() const override { return provider_->key_authorisation(); }
  [[nodiscard]] std::string_view provider() const noexcept override { return provider_->name(); }
  /// Generates a key, opens it with its lock, and tries another lock, which must be a wrong lock and nothing else. `unsupported` says
  /// what of it the token does not do. Signs nothing and leaves nothing.
  Status check(crypto::KeyAlgorithm algorithm);

 private:
  std::shared_ptr<VerifiedSigning> signing_;
  std::unique_ptr<BlobProvider> provider_;
};

}  // namespace intaglio::custody
