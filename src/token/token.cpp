#include "token/token.h"

#include "token/detail/activated_object.h"
#include "token/detail/mechanisms.h"
#include "token/detail/one_time_object.h"
#include "token/detail/state.h"

namespace intaglio::token {
namespace {

Error not_offered() { return {ErrorCode::unsupported, "this token does not offer the operation"}; }

}  // namespace

Token::State::State(std::unique_ptr<detail::Connection> opened)
    : connection(std::move(opened)),
      keys(*connection),
      health(*connection),
      operations(*connection, keys, health),
      signatures(*connection, keys) {
  connection->on_new_login([this] { return keys.rebind_all(); });
  connection->check_with([this] { return health.check(); });
}

Token::Token() = default;
Token::~Token() = default;

Result<std::shared_ptr<Token>> Token::open(const TokenConfig& config) {
  auto connection = detail::Connection::open(config);
  if (!connection) return connection.error();
  std::shared_ptr<Token> token(new Token);
  token->state_ = std::make_unique<State>(*std::move(connection));
  return token;
}

SignerKey Token::make_signer_key(Bytes id, unsigned long handle, crypto::PublicKey key) {
  return SignerKey(std::move(id), handle, std::move(key));
}

Result<ServiceKey> Token::find_service_key(KeyPurpose purpose, ByteView id) {
  if (!state_) return not_offered();
  if (purpose == KeyPurpose::signer) return Error{ErrorCode::invalid_request, "a signer's key is no service key"};
  auto number = state_->keys.find(purpose, id);
  if (!number) return number.error();
  return ServiceKey(to_bytes(id), *number);
}

Result<ServiceKey> Token::generate_service_key(KeyPurpose purpose, ByteView id, std::string_view label) {
  if (!state_) return not_offered();
  if (purpose == KeyPurpose::signer) return Error{ErrorCode::invalid_request, "a signer's key is no service key"};
  auto number = state_->keys.generate(purpose, crypto::KeyAlgorithm::p256, id, label);
  if (!number) return number.error();
  return ServiceKey(to_bytes(id), *number);
}

Result<ServiceKey> Token::generate_service_key(crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label) {
  if (!state_) return not_offered();
  auto number = state_->keys.generate(KeyPurpose::service_signature, algorithm, id, label);
  if (!number) return number.error();
  return ServiceKey(to_bytes(id), *number);
}

Result<crypto::PublicKey> Token::public_key_of(const ServiceKey& key) {
  if (!state_) return not_offered();
  return state_->operations.public_key(key.handle_);
}

Result<Bytes> Token::sign(const ServiceKey& key, crypto::SignatureSuite suite, ByteView digest) {
  if (!state_) return not_offered();
  return state_->operations.sign(key.handle_, suite, digest);
}

Result<Secret> Token::hmac(const ServiceKey& key, ByteView data) {
  if (!state_) return not_offered();
  return state_->operations.hmac(key.handle_, data);
}

Result<Bytes> Token::encrypt(const ServiceKey& key, ByteView plaintext, ByteView associated) {
  if (!state_) return not_offered();
  return state_->operations.encrypt(key.handle_, plaintext, associated);
}

Result<Secret> Token::decrypt(const ServiceKey& key, ByteView sealed, ByteView associated) {
  if (!state_) return not_offered();
  return state_->operations.decrypt(key.handle_, sealed, associated);
}

Result<Secret> Token::derive(const ServiceKey& key, ByteView peer_point) {
  if (!state_) return not_offered();
  return state_->operations.derive(key.handle_, peer_point);
}

Status Token::destroy(const ServiceKey& key) {
  if (!state_) return not_offered();
  return state_->keys.destroy(key.handle_);
}

Result<SignerKey> Token::generate_signer_key(crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label) {
  if (!state_) return not_offered();
  auto number = state_->keys.generate(KeyPurpose::signer, algorithm, id, label);
  if (!number) return number.error();
  auto key = state_->operations.public_key(*number);
  if (!key) return key.error();
  return SignerKey(to_bytes(id), *number, *std::move(key));
}

Result<SignerKey> Token::find_signer_key(ByteView id) {
  if (!state_) return not_offered();
  auto number = state_->keys.find(KeyPurpose::signer, id);
  if (!number) return number.error();
  auto key = state_->operations.public_key(*number);
  if (!key) return key.error();
  return SignerKey(to_bytes(id), *number, *std::move(key));
}

Status Token::destroy(const SignerKey& key) {
  if (!state_) return not_offered();
  return state_->keys.destroy(key.handle_);
}

SignOutcome Token::sign_for_activation(const SignerKey& key, crypto::SignatureSuite suite, ByteView digest) {
  if (!state_) return {std::nullopt, SignRefusal{not_offered(), true}};
  if (key.one_time_) {
    const auto object = key.one_time_->lock();
    if (!object || object->token.get() != this)
      return {std::nullopt, SignRefusal{{ErrorCode::not_found, "the one-time key has ended"}, true}};
    return state_->signatures.sign_one_time(*object, key.public_.algorithm(), suite, digest);
  }
  if (!key.activated_) return state_->signatures.sign(key.handle_, key.public_.algorithm(), suite, digest);
  const auto object = key.activated_->lock();
  if (!object || object->token.get() != this) {
    return {std::nullopt, SignRefusal{{ErrorCode::not_found, "the key is not activated, or not any more"}, true}};
  }
  return state_->signatures.sign_activated(*object, key.public_.algorithm(), suite, digest);
}

Result<Bytes> Token::random(std::size_t length) {
  if (!state_) return not_offered();
  return state_->operations.random(length);
}

Result<std::size_t> Token::object_count() {
  if (!state_) return not_offered();
  return state_->keys.count();
}

std::vector<CallCount> Token::call_counts() const { return state_ ? state_->connection->counters().read() : std::vector<CallCount>(); }

std::uint64_t Token::signer_signatures() const noexcept { return state_ ? state_->signatures.made() : 0; }

unsigned Token::hanging_calls() const { return state_ ? state_->connection->pool().hanging() : 0; }

std::string Token::description() const { return state_ ? state_->connection->description() : std::string(); }

Status Token::check_health() {
  if (!state_) return not_offered();
  if (auto ready = state_->connection->ensure_login(); !ready) return ready;
  return state_->health.check();
}

Status Token::check_algorithm(crypto::KeyAlgorithm algorithm) {
  if (!state_) return not_offered();
  return detail::check_mechanisms(*state_->connection, algorithm);
}

void Token::report_wrong_signature() {
  if (state_) state_->connection->wrong_signature();
}

}  // namespace intaglio::token
