#pragma once

#include <memory>

#include "sam/factors/factors.h"
#include "sam/sap/keys.h"
#include "token/token.h"

/// Joins the token to what the SAM's rooms know of keys: `sam` itself never sees a token.
namespace intaglio::apps::sam {

class TokenAgreementKeys final : public intaglio::sam::AgreementKeys {
 public:
  explicit TokenAgreementKeys(std::shared_ptr<token::Token> token) : token_(std::move(token)) {}
  [[nodiscard]] Result<std::shared_ptr<const crypto::KeyAgreement>> generate(std::string_view name) override;
  [[nodiscard]] Result<std::shared_ptr<const crypto::KeyAgreement>> find(std::string_view name) override;
  Status destroy(std::string_view name) override;

 private:
  std::shared_ptr<token::Token> token_;
};

class TokenPepper final : public intaglio::sam::Pepper {
 public:
  /// `lock_key`: only where a profile has wrapped custody.
  TokenPepper(std::shared_ptr<token::Token> token, token::ServiceKey key, std::optional<token::ServiceKey> lock_key)
      : token_(std::move(token)), key_(std::move(key)), lock_key_(std::move(lock_key)) {}
  [[nodiscard]] Result<Secret> mac(ByteView data) const override { return token_->hmac(key_, data); }
  [[nodiscard]] Result<Secret> lock_mac(ByteView data) const override {
    if (!lock_key_) return Error{ErrorCode::unsupported, "no profile of this SAM has wrapped custody"};
    return token_->hmac(*lock_key_, data);
  }

 private:
  std::shared_ptr<token::Token> token_;
  token::ServiceKey key_;
  std::optional<token::ServiceKey> lock_key_;
};

/// The SAM's own keys in the token, one purpose each.
struct ServiceKeys {
  token::ServiceKey sealing, pepper;
  std::shared_ptr<crypto::Signer> sad, identity, checkpoint;
};
/// Finds them; `make` generates those that are missing (initialisation only).
[[nodiscard]] Result<ServiceKeys> open_service_keys(const std::shared_ptr<token::Token>& token, bool make);

}  // namespace intaglio::apps::sam
