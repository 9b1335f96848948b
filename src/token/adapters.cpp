#include "token/token.h"

namespace intaglio::token {
namespace {

class TokenSigner final : public crypto::Signer {
 public:
  TokenSigner(std::shared_ptr<Token> token, ServiceKey key, crypto::PublicKey public_key)
      : token_(std::move(token)), key_(std::move(key)), public_(std::move(public_key)) {}
  [[nodiscard]] const crypto::PublicKey& public_key() const noexcept override { return public_; }
  [[nodiscard]] Result<Bytes> sign_digest(crypto::SignatureSuite suite, ByteView digest) const override {
    return token_->sign(key_, suite, digest);
  }

 private:
  std::shared_ptr<Token> token_;
  ServiceKey key_;
  crypto::PublicKey public_;
};

class TokenKeyAgreement final : public crypto::KeyAgreement {
 public:
  TokenKeyAgreement(std::shared_ptr<Token> token, ServiceKey key, crypto::PublicKey public_key)
      : token_(std::move(token)), key_(std::move(key)), public_(std::move(public_key)) {}
  [[nodiscard]] const crypto::PublicKey& public_key() const noexcept override { return public_; }
  [[nodiscard]] Result<Secret> agree(ByteView peer) const override { return token_->derive(key_, peer); }

 private:
  std::shared_ptr<Token> token_;
  ServiceKey key_;
  crypto::PublicKey public_;
};

}  // namespace

Result<std::shared_ptr<crypto::Signer>> make_signer(std::shared_ptr<Token> token, ServiceKey key) {
  auto public_key = token->public_key_of(key);
  if (!public_key) return public_key.error();
  return std::shared_ptr<crypto::Signer>(std::make_shared<TokenSigner>(std::move(token), std::move(key), *std::move(public_key)));
}

Result<std::shared_ptr<crypto::KeyAgreement>> make_key_agreement(std::shared_ptr<Token> token, ServiceKey key) {
  auto public_key = token->public_key_of(key);
  if (!public_key) return public_key.error();
  return std::shared_ptr<crypto::KeyAgreement>(
      std::make_shared<TokenKeyAgreement>(std::move(token), std::move(key), *std::move(public_key)));
}

}  // namespace intaglio::token
