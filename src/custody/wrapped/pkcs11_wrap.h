#pragma once

#include "custody/wrapped/blob_provider.h"

namespace intaglio::custody {

/// The CKA_IDs of the two master keys in the token.
struct MasterKeyIds {
  Bytes wrapping;    ///< SMKW: wraps and unwraps keypasses, CKM_AES_KEY_WRAP_PAD alone
  Bytes encryption;  ///< SMKE: encrypts and decrypts blobs, CKM_AES_GCM alone
};

/// Blobs of plain PKCS#11, for any token that has CKM_AES_KEY_WRAP_PAD and CKM_AES_GCM (docs/decisions/0010):
///   inner  = C_WrapKey(keypass, private key)
///   blob   = GCM(SMKE, inner, associated data = the binding, the algorithm and the public key)
///   locked = CTR(lock, C_WrapKey(SMKW, keypass)), without a tag
/// *Emulated*: the keys must be extractable for the moment in which they are wrapped, and it is we who undo the lock.
class Pkcs11Wrap final : public BlobProvider {
 public:
  /// Makes both master keys or none. `conflict` when one exists. For key ceremonies and tests.
  [[nodiscard]] static Status make_master_keys(token::Token& token, const MasterKeyIds& ids);
  /// `not_found` without master keys; `token_unavailable` for one that may do more than it should.
  [[nodiscard]] static Result<std::unique_ptr<Pkcs11Wrap>> open(std::shared_ptr<token::Token> token, const MasterKeyIds& ids);

  [[nodiscard]] std::string_view name() const noexcept override { return "pkcs11-wrap"; }
  [[nodiscard]] std::string key_authorisation() const override { return "emulated"; }
  [[nodiscard]] Result<SealedPair> generate(const KeyBinding& binding, crypto::KeyAlgorithm algorithm, const Secret& lock) override;
  [[nodiscard]] Result<token::ActivatedKey> activate(const KeyBinding& binding, const crypto::PublicKey& expected, const SealedKey& sealed,
                                                     const Secret& lock) override;
  [[nodiscard]] Result<SealedKey> change_lock(const KeyBinding& old_binding, const KeyBinding& new_binding,
                                              const crypto::PublicKey& expected, const SealedKey& old, const Secret& old_lock,
                                              const Secret& new_lock) override;
  /// Session objects of this process in the token: for tests.
  [[nodiscard]] Result<std::size_t> session_object_count() { return wrapping_->session_object_count(); }

 private:
  Pkcs11Wrap(std::shared_ptr<token::Token> token, std::unique_ptr<token::KeyWrapping> wrapping, token::ServiceKey encryption)
      : token_(std::move(token)), wrapping_(std::move(wrapping)), encryption_(std::move(encryption)) {}
  [[nodiscard]] Result<SealedKey> seal(const KeyBinding& binding, const crypto::PublicKey& key, const token::WrappedKey& wrapped,
                                       const Secret& lock);
  [[nodiscard]] Result<token::WrappedKey> unseal(const KeyBinding& binding, const crypto::PublicKey& key, const SealedKey& sealed,
                                                 const Secret& lock);

  std::shared_ptr<token::Token> token_;
  std::unique_ptr<token::KeyWrapping> wrapping_;
  token::ServiceKey encryption_;
};

}  // namespace intaglio::custody
