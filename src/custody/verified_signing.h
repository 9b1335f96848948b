#pragma once

#include <atomic>
#include <memory>

#include "custody/vault.h"
#include "token/token.h"

namespace intaglio::custody {

/// Where a signer's key signs, whatever the mode of custody: the one caller of Token::sign_for_activation, hence of C_SignInit
/// for signers' keys (TC-1). One for each token.
class VerifiedSigning {
 public:
  explicit VerifiedSigning(std::shared_ptr<token::Token> token) : token_(std::move(token)) {}

  /// Consumes the activation. Refused unless `key` is `certified` and the signature verifies with it (TC-5); the second
  /// signature that does not retires the token.
  [[nodiscard]] VaultOutcome sign(const token::SignerKey& key, Activation activation, const crypto::PublicKey& certified);
  /// PKCS#10 for this key, over bytes composed here (SRC_SKS.1.4). `subject_der`: a Name.
  [[nodiscard]] Result<Bytes> make_certificate_request(const token::SignerKey& key, const KeyId& id, const SignerId& owner,
                                                       ByteView subject_der);

 private:
  std::shared_ptr<token::Token> token_;
  std::atomic<unsigned> wrong_signatures_{0};
};

}  // namespace intaglio::custody
