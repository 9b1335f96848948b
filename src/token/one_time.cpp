#include "token/one_time.h"

#include "base/check.h"
#include "base/log.h"
#include "token/detail/fault.h"
#include "token/detail/one_time_object.h"
#include "token/detail/state.h"
#include "token/detail/throw_away.h"

namespace intaglio::token {

using detail::Function;
using detail::ObjectKind;
using detail::OneTimeObject;
using detail::OwnSession;

namespace {

constexpr std::string_view label = "signer one-time";

Error without_token() { return {ErrorCode::unsupported, "this token does not offer the operation"}; }

Status check_served(const detail::Connection& connection, crypto::KeyAlgorithm algorithm) {
  const auto& hsm = connection.profile();
  if (detail::stores_throw_away_keys(connection))
    return Error{ErrorCode::unsupported, "the HSM profile " + hsm.name + " knows no session objects: a one-time key would be stored"};
  if (!hsm.serves(algorithm))
    return Error{ErrorCode::unsupported, "the HSM profile " + hsm.name + " has no " + std::string(crypto::name_of(algorithm))};
  return {};
}

/// The pair, as session objects of `object.session`; its public key once every attribute was read back.
Result<crypto::PublicKey> make_pair(OneTimeObject& object, crypto::KeyAlgorithm algorithm, ByteView id) {
  auto& connection = object.connection;
  const auto profile = detail::profile_of(KeyPurpose::signer, algorithm);
  auto own = detail::key_template(profile, id, label, /*stored=*/false);
  auto other = detail::public_template(profile, algorithm, id, label, /*stored=*/false);
  detail::adapt(own, connection.profile());
  detail::adapt_public(other, connection.profile());
  CK_MECHANISM mechanism{profile.generation, nullptr, 0};
  const auto make = [&] {
    return connection.counters().record(
        Function::generate_key_pair, ObjectKind::signer_key,
        connection.functions().C_GenerateKeyPair(object.session->handle(), &mechanism, other.data(), other.size(), own.data(), own.size(),
                                                 &object.other, &object.own));
  };
  auto result = make();
  if (result == CKR_ATTRIBUTE_TYPE_INVALID) {
    for (const auto type : detail::optional_attributes()) {
      own.drop(type);
      other.drop(type);
    }
    result = make();
  }
  if (result != CKR_OK) {
    object.own = object.other = CK_INVALID_HANDLE;
    connection.ended_badly(result);
    return detail::error_of("C_GenerateKeyPair", result);
  }
  const auto view = [&](CK_OBJECT_HANDLE handle) {
    return detail::ObjectView{connection.functions(), connection.counters(), object.session->handle(), handle, ObjectKind::signer_key};
  };
  if (auto verified = detail::verify_attributes(view(object.own), profile, /*stored=*/false); !verified) return verified.error();
  auto key = detail::read_public_key(view(object.other), connection.profile().ec_point);
  if (!key) return key.error();
  if (key->algorithm() != algorithm) return Error{ErrorCode::token_unavailable, "the token made a key of another algorithm"};
  return key;
}

}  // namespace

void detail::OneTimeObject::end() noexcept {
  const std::lock_guard using_it(use);
  if (!session) return;
  // No new login comes between, after which the handles could be others'.
  const std::lock_guard lock(connection.objects());
  if (!session->is_void() && !Module::forbidden()) {
    for (const auto handle : {own, other}) {
      if (handle == CK_INVALID_HANDLE) continue;
      const auto result = connection.counters().record(Function::destroy_object, ObjectKind::signer_key,
                                                       connection.functions().C_DestroyObject(session->handle(), handle));
      if (result != CKR_OK)
        log::error("one-time key not destroyed, its session is closed", {{"result", std::string(describe(result).name)}});
    }
  }
  session.reset();
}

Result<std::unique_ptr<OneTimeKey>> OneTimeKey::generate(const std::shared_ptr<Token>& token, crypto::KeyAlgorithm algorithm, ByteView id) {
  if (!token->state_) return without_token();
  if (id.empty() || id.size() > 64) return Error{ErrorCode::invalid_request, "a CKA_ID has 1 to 64 bytes"};
  auto& connection = *token->state_->connection;
  if (auto served = check_served(connection, algorithm); !served) return served.error();
  if (auto free = check_gone(*token, id); !free) return free.error();
  std::shared_ptr<OneTimeObject> object;
  std::optional<Result<crypto::PublicKey>> made;
  {
    const std::lock_guard lock(connection.objects());
    auto session = OwnSession::open(connection, OwnSession::Access::read_only);
    if (!session) return session.error();
    object = std::make_shared<OneTimeObject>(token, connection, *std::move(session));
    made = make_pair(*object, algorithm, id);
  }
  if (!*made) return made->error();
  connection.ended_well();
  SignerKey key(to_bytes(id), 0, **std::move(made));
  key.one_time_ = object;
  return std::unique_ptr<OneTimeKey>(new OneTimeKey(std::move(object), std::move(key)));
}

OneTimeKey::~OneTimeKey() = default;

Status OneTimeKey::destroy() {
  object_->end();
  return check_gone(*object_->token, key_.id());
}

Status OneTimeKey::check_gone(Token& token, ByteView id) {
  if (!token.state_) return without_token();
  auto left = token.state_->keys.count_with_id(id);
  if (!left) return left.error();
  if (refused_by("token.one_time_gone", *left != 0)) return Error{ErrorCode::conflict, "the token holds an object " + encode_hex(id)};
  return {};
}

}  // namespace intaglio::token
