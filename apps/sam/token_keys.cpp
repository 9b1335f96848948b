#include "token_keys.h"

namespace intaglio::apps::sam {
namespace {

using token::KeyPurpose;

Result<token::ServiceKey> find_or_make(token::Token& token, KeyPurpose purpose, std::string_view name, bool make) {
  auto found = token.find_service_key(purpose, as_bytes(name));
  if (found || found.error().code != ErrorCode::not_found) return found;
  if (!make)
    return Error{ErrorCode::configuration, "the token holds no key " + std::string(name) + "; run intaglio-sam --initialise first"};
  return token.generate_service_key(purpose, as_bytes(name), "intaglio " + std::string(name));
}

Result<std::shared_ptr<crypto::Signer>> signer(const std::shared_ptr<token::Token>& token, std::string_view name, bool make) {
  auto key = find_or_make(*token, KeyPurpose::service_signature, name, make);
  if (!key) return key.error();
  return token::make_signer(token, std::move(*key));
}

Result<std::shared_ptr<const crypto::KeyAgreement>> as_agreement(const std::shared_ptr<token::Token>& token,
                                                                 Result<token::ServiceKey> key) {
  if (!key) return key.error();
  auto agreement = token::make_key_agreement(token, std::move(*key));
  if (!agreement) return agreement.error();
  return std::shared_ptr<const crypto::KeyAgreement>(std::move(*agreement));
}

}  // namespace

Result<std::shared_ptr<const crypto::KeyAgreement>> TokenAgreementKeys::generate(std::string_view name) {
  return as_agreement(token_, token_->generate_service_key(KeyPurpose::key_agreement, as_bytes(name), "intaglio " + std::string(name)));
}

Result<std::shared_ptr<const crypto::KeyAgreement>> TokenAgreementKeys::find(std::string_view name) {
  return as_agreement(token_, token_->find_service_key(KeyPurpose::key_agreement, as_bytes(name)));
}

Status TokenAgreementKeys::destroy(std::string_view name) {
  auto key = token_->find_service_key(KeyPurpose::key_agreement, as_bytes(name));
  if (!key) return key.error();
  return token_->destroy(*key);
}

Result<ServiceKeys> open_service_keys(const std::shared_ptr<token::Token>& token, bool make) {
  auto sealing = find_or_make(*token, KeyPurpose::data_encryption, "sealing", make);
  if (!sealing) return sealing.error();
  auto pepper = find_or_make(*token, KeyPurpose::hmac, "pepper-verify", make);
  if (!pepper) return pepper.error();
  auto sad = signer(token, "sad", make);
  if (!sad) return sad.error();
  auto identity = signer(token, "identity", make);
  if (!identity) return identity.error();
  auto checkpoint = signer(token, "checkpoint", make);
  if (!checkpoint) return checkpoint.error();
  return ServiceKeys{std::move(*sealing), std::move(*pepper), std::move(*sad), std::move(*identity), std::move(*checkpoint)};
}

}  // namespace intaglio::apps::sam
