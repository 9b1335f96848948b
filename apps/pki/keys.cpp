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

namespace {

Error named(std::string_view id, const Error& error) { return {error.code, "key " + std::string(id) + ": " + error.detail}; }

Result<std::shared_ptr<crypto::Signer>> signer_of(const std::shared_ptr<token::Token>& token, const KeySettings& key,
                                                  Result<token::ServiceKey> found) {
  if (!found) return named(key.id, found.error());
  auto signer = token::make_signer(token, std::move(*found));
  if (!signer) return named(key.id, signer.error());
  const auto algorithm = (*signer)->public_key().algorithm();
  if (algorithm != key.algorithm) {
    return named(key.id, {ErrorCode::configuration, "the token's key is " + std::string(crypto::name_of(algorithm)) +
                                                        " and the configuration says " + std::string(crypto::name_of(key.algorithm))});
  }
  return signer;
}

}  // namespace

Result<std::shared_ptr<crypto::Signer>> find_signer(const std::shared_ptr<token::Token>& token, const KeySettings& key) {
  return signer_of(token, key, token->find_service_key(token::KeyPurpose::service_signature, as_bytes(key.id)));
}

Result<std::shared_ptr<crypto::Signer>> find_or_make_signer(const std::shared_ptr<token::Token>& token, const KeySettings& key) {
  auto found = token->find_service_key(token::KeyPurpose::service_signature, as_bytes(key.id));
  if (!found && found.error().code == ErrorCode::not_found) found = token->generate_service_key(key.algorithm, as_bytes(key.id), key.id);
  return signer_of(token, key, std::move(found));
}

}  // namespace intaglio::apps::pki
