#pragma once

#include "token/token.h"

namespace intaglio::token {

/// A signer's key outside the token. Neither part holds anything in clear.
struct WrappedKey {
  Bytes key;       ///< PKCS#8 of the private key under its keypass (RFC 5649): 80 bytes for P-256, 1.8 KiB for RSA-3072
  Secret keypass;  ///< the keypass, an AES-256 key of its own, under the master key (RFC 5649): 40 bytes
};
struct GeneratedKey {
  crypto::PublicKey public_key;
  WrappedKey wrapped;
};
inline constexpr std::size_t wrapped_keypass_length = 40;

/// A signer's key that was unwrapped: a session object, sensitive, non-extractable, sign only. It is destroyed when this ends;
/// a copy of `key()` that is left over opens nothing then. Holds one session of the token's pool: use it at once, since one that is
/// idle for longer than TokenConfig::call_timeout counts as a call that hangs.
class ActivatedKey {
 public:
  /// Signs through Token::sign_for_activation alone (TC-1).
  [[nodiscard]] const SignerKey& key() const noexcept { return key_; }

 private:
  friend class KeyWrapping;
  ActivatedKey(std::shared_ptr<detail::ActivatedObject> object, SignerKey key) : object_(std::move(object)), key_(std::move(key)) {}
  std::shared_ptr<detail::ActivatedObject> object_;
  SignerKey key_;
};

/// Signers' keys that are kept outside the token, wrapped with CKM_AES_KEY_WRAP_PAD in two stages: each under a keypass of its
/// own, the keypass under a master key of this token. Each operation is one session; its objects are session objects,
/// destroyed on every path. Thread-safe.
class KeyWrapping {
 public:
  /// `master`: a key of KeyPurpose::key_wrapping. Wraps a throw-away key, which later tells a wrong input from a token that fails.
  [[nodiscard]] static Result<std::unique_ptr<KeyWrapping>> open(std::shared_ptr<Token> token, ServiceKey master);
  ~KeyWrapping();

  /// A new key pair, wrapped under a new keypass; nothing of it stays in the token.
  [[nodiscard]] Result<GeneratedKey> generate(crypto::KeyAlgorithm algorithm);
  /// `authentication_failed` when the token, which is well, does not unwrap the keypass: the one refusal that counts as an
  /// attempt. `storage_unavailable` when the keypass opens and does not open this key, or when it is not the key of `expected`.
  /// `token_unavailable` when the token fails its known-answer check as well: hsm.md, consequence 10. For RSA the public half
  /// is compared; a token keeps none with an EC private key, there it is the curve, and the signature's verification for the rest.
  [[nodiscard]] Result<ActivatedKey> activate(const crypto::PublicKey& expected, const WrappedKey& wrapped);
  /// The same key under a new keypass; the old keypass opens nothing of the result, nor the new one the old key. Refusals as in
  /// `activate`.
  [[nodiscard]] Result<WrappedKey> rewrap(const crypto::PublicKey& expected, const WrappedKey& wrapped);
  /// The known-answer check: the throw-away key still unwraps, and Token::check_health. `token_unavailable` otherwise.
  Status check();
  /// Session objects of this process in the token: for tests and `status`.
  [[nodiscard]] Result<std::size_t> session_object_count();

 private:
  struct Refusal;
  KeyWrapping(std::shared_ptr<Token> token, ServiceKey master) : token_(std::move(token)), master_(std::move(master)) {}
  /// `work(lease, master)`, repeated after a repair.
  template <typename Work>
  std::optional<Refusal> run(Work work);
  [[nodiscard]] Error error_of(Refusal refusal);

  std::shared_ptr<Token> token_;
  ServiceKey master_;
  Bytes canary_;
};

}  // namespace intaglio::token
