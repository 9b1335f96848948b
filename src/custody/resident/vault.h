#pragma once

#include <map>
#include <shared_mutex>

#include "custody/vault.h"
#include "custody/verified_signing.h"

namespace intaglio::custody {

/// Keys as token objects, CKA_EXTRACTABLE=false; handles are cached and their public half checked when first used.
class ResidentVault final : public KeyVault {
 public:
  explicit ResidentVault(std::shared_ptr<token::Token> token) : token_(token), signing_(std::move(token)) {}

  [[nodiscard]] Result<crypto::PublicKey> generate(const KeyId& key, crypto::KeyAlgorithm algorithm) override;
  [[nodiscard]] Result<Bytes> make_certificate_request(const KeyId& key, const SignerId& owner, ByteView subject_der) override;
  [[nodiscard]] VaultOutcome sign(Activation activation, const crypto::PublicKey& certified) override;
  Status destroy(const KeyId& key) override;
  [[nodiscard]] std::string key_authorisation() const override { return "emulated"; }

 private:
  [[nodiscard]] Result<std::shared_ptr<const token::SignerKey>> load(const KeyId& key);

  std::shared_ptr<token::Token> token_;
  VerifiedSigning signing_;
  std::shared_mutex mutex_;
  std::map<KeyId, std::shared_ptr<const token::SignerKey>> handles_;
};

}  // namespace intaglio::custody
