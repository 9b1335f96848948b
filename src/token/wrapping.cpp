#include "token/wrapping.h"

#include "base/check.h"
#include "token/detail/state.h"
#include "token/detail/wrapping_session.h"

namespace intaglio::token {

using detail::CkrClass;
using detail::Lease;
using detail::ObjectKind;
using detail::SessionObject;
using detail::WrappingPlace;
using detail::WrappingSession;
using detail::WrappingStep;

namespace {

/// The classes of results that are the token's own whatever it was given. Any other refusal of C_UnwrapKey may be the input's.
bool is_tokens_own(CkrClass meaning) noexcept {
  switch (meaning) {
    case CkrClass::session_lost:
    case CkrClass::device_lost:
    case CkrClass::pin:
    case CkrClass::busy:
    case CkrClass::tamper: return true;
    case CkrClass::ok:
    case CkrClass::refused:
    case CkrClass::argument:
    case CkrClass::general: break;
  }
  return false;
}

Error without_token() { return {ErrorCode::unsupported, "this token does not offer the operation"}; }

}  // namespace

/// Why an operation ended: `step` was refused, or the token was not reached at all.
struct KeyWrapping::Refusal {
  WrappingStep step;
  std::optional<Error> unreached;
};

KeyWrapping::~KeyWrapping() = default;

Result<std::unique_ptr<KeyWrapping>> KeyWrapping::open(std::shared_ptr<Token> token, ServiceKey master) {
  if (!token->state_) return without_token();
  const auto entry = token->state_->keys.table().entry(master.handle_);
  if (!entry) return Error{ErrorCode::not_found, "the master key is not in the token"};
  if (refused_by("token.wrapping_master_purpose", entry->purpose != KeyPurpose::key_wrapping)) {
    return Error{ErrorCode::invalid_request, "the master key of wrapped custody is a key of another purpose"};
  }
  std::unique_ptr<KeyWrapping> wrapping(new KeyWrapping(std::move(token), std::move(master)));
  auto refusal = wrapping->run([&](Lease lease, CK_OBJECT_HANDLE master_key) {
    auto& connection = *wrapping->token_->state_->connection;
    WrappingSession session(connection, lease);
    SessionObject canary(connection, lease, ObjectKind::service_key);
    auto step = session.make_keypass(canary);
    if (step.well()) step = session.wrap(master_key, canary, wrapping->canary_);
    return step;
  });
  if (refusal) return wrapping->error_of(*std::move(refusal));
  return wrapping;
}

template <typename Work>
std::optional<KeyWrapping::Refusal> KeyWrapping::run(Work work) {
  auto& state = *token_->state_;
  auto& connection = *state.connection;
  for (unsigned attempt = 0;; ++attempt) {
    const auto epoch = connection.epoch();
    auto lease = connection.lease();
    if (!lease) return Refusal{{}, lease.error()};
    const auto master = state.keys.table().handle(master_.handle_);
    if (master == CK_INVALID_HANDLE) return Refusal{{}, Error{ErrorCode::token_unavailable, "the master key is not in the token"}};
    auto step = work(*std::move(lease), master);
    if (step.well()) {
      connection.ended_well();
      return std::nullopt;
    }
    if (step.refused || !connection.repair(step.result, attempt, epoch)) return Refusal{std::move(step), std::nullopt};
  }
}

Error KeyWrapping::error_of(Refusal refusal) {
  if (refusal.unreached) return *std::move(refusal.unreached);
  auto& step = refusal.step;
  if (step.refused) return *std::move(step.refused);
  if (step.place == WrappingPlace::elsewhere || is_tokens_own(detail::class_of(step.result))) {
    token_->state_->connection->ended_badly(step.result);
    return detail::error_of(step.function, step.result);
  }
  auto detail = detail::error_of(step.function, step.result).detail;
  const auto well = check();
  if (refused_by("token.wrapping_known_answer", !well)) {
    return {ErrorCode::token_unavailable, detail + ", and the known-answer check fails: " + well.error().detail};
  }
  if (step.place == WrappingPlace::keypass) return {ErrorCode::authentication_failed, "the keypass does not open: " + detail};
  return {ErrorCode::storage_unavailable, "the keypass opens and does not open this key: " + detail};
}

Result<GeneratedKey> KeyWrapping::generate(crypto::KeyAlgorithm algorithm) {
  std::optional<crypto::PublicKey> key;
  Bytes wrapped;
  Bytes keypass_bytes;
  const WipeAtExit wiped(keypass_bytes);
  auto refusal = run([&](Lease lease, CK_OBJECT_HANDLE master) {
    auto& connection = *token_->state_->connection;
    WrappingSession session(connection, lease);
    SessionObject own(connection, lease, ObjectKind::signer_key);
    SessionObject other(connection, lease, ObjectKind::signer_key);
    SessionObject keypass(connection, lease, ObjectKind::service_key);
    auto step = session.make_pair(algorithm, own, other, key);
    if (step.well()) step = session.make_keypass(keypass);
    if (step.well()) step = session.wrap(keypass.handle(), own, wrapped);
    if (step.well()) step = session.wrap(master, keypass, keypass_bytes);
    return step;
  });
  if (refusal) return error_of(*std::move(refusal));
  return GeneratedKey{*std::move(key), {std::move(wrapped), Secret(keypass_bytes)}};
}

Result<ActivatedKey> KeyWrapping::activate(const crypto::PublicKey& expected, const WrappedKey& wrapped) {
  std::shared_ptr<detail::ActivatedObject> activated;
  auto refusal = run([&](Lease lease, CK_OBJECT_HANDLE master) {
    auto& connection = *token_->state_->connection;
    auto object = std::make_shared<detail::ActivatedObject>(token_, connection, std::move(lease));
    WrappingSession session(connection, object->lease);
    SessionObject keypass(connection, object->lease, ObjectKind::service_key);
    auto step = session.unwrap_keypass(master, wrapped.keypass.reveal(), keypass);
    if (step.well()) {
      step = session.unwrap_key(keypass, wrapped.key, detail::activated_signer_key(expected.algorithm()), expected, object->object);
    }
    if (step.well()) activated = object;
    return step;
  });
  if (refusal) return error_of(*std::move(refusal));
  SignerKey key(Bytes(), 0, expected);
  key.activated_ = activated;
  return ActivatedKey(std::move(activated), std::move(key));
}

Result<WrappedKey> KeyWrapping::rewrap(const crypto::PublicKey& expected, const WrappedKey& wrapped) {
  Bytes again;
  Bytes keypass_bytes;
  const WipeAtExit wiped(keypass_bytes);
  auto refusal = run([&](Lease lease, CK_OBJECT_HANDLE master) {
    auto& connection = *token_->state_->connection;
    WrappingSession session(connection, lease);
    SessionObject old_keypass(connection, lease, ObjectKind::service_key);
    SessionObject moving(connection, lease, ObjectKind::signer_key);
    SessionObject keypass(connection, lease, ObjectKind::service_key);
    auto step = session.unwrap_keypass(master, wrapped.keypass.reveal(), old_keypass);
    if (step.well()) {
      step = session.unwrap_key(old_keypass, wrapped.key, detail::moving_signer_key(expected.algorithm()), expected, moving);
    }
    if (step.well()) step = session.make_keypass(keypass);
    if (step.well()) step = session.wrap(keypass.handle(), moving, again);
    if (step.well()) step = session.wrap(master, keypass, keypass_bytes);
    return step;
  });
  if (refusal) return error_of(*std::move(refusal));
  return WrappedKey{std::move(again), Secret(keypass_bytes)};
}

Status KeyWrapping::check() {
  auto refusal = run([&](Lease lease, CK_OBJECT_HANDLE master) {
    auto& connection = *token_->state_->connection;
    WrappingSession session(connection, lease);
    SessionObject opened(connection, lease, ObjectKind::service_key);
    auto step = session.unwrap_keypass(master, canary_, opened);
    // What the token made itself and does not open again is no input's fault.
    step.place = WrappingPlace::elsewhere;
    return step;
  });
  if (refusal) {
    auto error = error_of(*std::move(refusal));
    return Error{ErrorCode::token_unavailable, std::move(error.detail)};
  }
  return token_->check_health();
}

Result<std::size_t> KeyWrapping::session_object_count() {
  if (!token_->state_) return without_token();
  return token_->state_->keys.count(/*stored=*/false);
}

}  // namespace intaglio::token
