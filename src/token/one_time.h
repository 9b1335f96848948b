#pragma once

#include <memory>

#include "token/token.h"

namespace intaglio::token {

namespace detail {
struct OneTimeObject;
}

/// A signer's key for one session: a pair of session objects, sensitive, non-extractable, sign only, made in the token. It is never
/// stored: it ends with `destroy`, with this object, with a new login, and with the process at the latest (PKCS#11 v2.40, 2.6.5). The
/// session that owns it is none of the pool's, so it may wait for a certificate as long as its caller lets it. Thread-safe.
class OneTimeKey {
 public:
  /// `id`: CKA_ID, 1 to 64 bytes, of no other object. `unsupported`: the token does not serve the algorithm, or knows no session objects.
  [[nodiscard]] static Result<std::unique_ptr<OneTimeKey>> generate(const std::shared_ptr<Token>& token, crypto::KeyAlgorithm algorithm,
                                                                    ByteView id);
  ~OneTimeKey();
  OneTimeKey(const OneTimeKey&) = delete;
  OneTimeKey& operator=(const OneTimeKey&) = delete;

  /// Signs through Token::sign_for_activation alone (TC-1).
  [[nodiscard]] const SignerKey& key() const noexcept { return key_; }
  /// The token holds no object of this id when this succeeds: it was searched for again. May be repeated.
  Status destroy();
  /// The same for an id whose key this process does not hold, or not any more.
  static Status check_gone(Token& token, ByteView id);

 private:
  OneTimeKey(std::shared_ptr<detail::OneTimeObject> object, SignerKey key) : object_(std::move(object)), key_(std::move(key)) {}
  std::shared_ptr<detail::OneTimeObject> object_;
  SignerKey key_;
};

}  // namespace intaglio::token
