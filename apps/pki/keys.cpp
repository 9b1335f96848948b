#include "keys.h"

#include <cstdlib>

#include "crypto/random.h"

namespace intaglio::apps::pki {

Result<std::shared_ptr<token::Token>> open_token(const TokenSettings& settings, SoftHsmConf order) {
  if (settings.softhsm_conf) {
    ::setenv("SOFTHSM2_CONF", settings.softhsm_conf->c_str(), order == SoftHsmConf::file_first ? 1 : 0);
  }
  auto token = token::Token::open(settings.config);
  if (!token) return token.error();
  auto entropy = (*token)->random(32);
  if (!entropy) return entropy.error();
  crypto::add_entropy(*entropy);
  return token;
}

Result<std::shared_ptr<crypto::Signer>> find_signer(const std::shared_ptr<token::Token>& token, std::string_view id) {
  auto key = token->find_service_key(token::KeyPurpose::service_signature, as_bytes(id));
  if (!key) return Error{key.error().code, "key " + std::string(id) + ": " + key.error().detail};
  return token::make_signer(token, std::move(*key));
}

Result<std::shared_ptr<crypto::Signer>> find_or_make_signer(const std::shared_ptr<token::Token>& token, std::string_view id) {
  auto found = token->find_service_key(token::KeyPurpose::service_signature, as_bytes(id));
  if (!found && found.error().code == ErrorCode::not_found) {
    found = token->generate_service_key(token::KeyPurpose::service_signature, as_bytes(id), id);
  }
  if (!found) return Error{found.error().code, "key " + std::string(id) + ": " + found.error().detail};
  return token::make_signer(token, std::move(*found));
}

}  // namespace intaglio::apps::pki
