#pragma once

#include <map>
#include <mutex>

#include "custody/vault.h"
#include "custody/verified_signing.h"
#include "token/one_time.h"

namespace intaglio::custody {

/// Keys of one session each (trust-core, section 3): session objects of the token, which are there to be used and need no secret of the
/// signer's, because the session itself begins with his identification. None outlives this vault. Thread-safe.
class OneTimeVault final : public KeyVault {
 public:
  /// `most`: keys that are alive at a time; each holds a session of the token.
  OneTimeVault(std::shared_ptr<token::Token> token, std::size_t most) : token_(token), signing_(std::move(token)), most_(most) {}

  /// `busy` when as many keys as may be are alive.
  [[nodiscard]] Result<crypto::PublicKey> generate(const KeyId& key, crypto::KeyAlgorithm algorithm) override;
  [[nodiscard]] Result<Bytes> make_certificate_request(const KeyId& key, const SignerId& owner, ByteView subject_der) override;
  [[nodiscard]] VaultOutcome sign(Activation activation, const crypto::PublicKey& certified) override;
  /// Also of a key that an earlier process made: there is nothing of it then, which is searched for all the same.
  Status destroy(const KeyId& key) override;
  [[nodiscard]] std::string key_authorisation() const override { return "emulated"; }
  /// Keys that are alive.
  [[nodiscard]] std::size_t count();

 private:
  using Held = std::shared_ptr<token::OneTimeKey>;
  [[nodiscard]] Held find(const KeyId& key);

  std::shared_ptr<token::Token> token_;
  VerifiedSigning signing_;
  const std::size_t most_;
  std::mutex mutex_;
  std::map<KeyId, Held> keys_;  ///< null: in the making
};

}  // namespace intaglio::custody
