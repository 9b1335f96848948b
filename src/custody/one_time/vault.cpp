#include "custody/one_time/vault.h"

#include "base/check.h"

namespace intaglio::custody {
namespace {

Error ended() { return {ErrorCode::not_found, "the one-time key has ended"}; }

}  // namespace

OneTimeVault::Held OneTimeVault::find(const KeyId& key) {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : found->second;
}

std::size_t OneTimeVault::count() {
  const std::lock_guard lock(mutex_);
  return keys_.size();
}

Result<crypto::PublicKey> OneTimeVault::generate(const KeyId& key, crypto::KeyAlgorithm algorithm) {
  {
    const std::lock_guard lock(mutex_);
    if (refused_by("custody.one-time-bound", keys_.size() >= most_))
      return Error{ErrorCode::busy, "as many one-time keys as may be are alive"};
    if (!keys_.emplace(key, nullptr).second) return Error{ErrorCode::conflict, "a one-time key of this id is alive"};
  }
  auto made = token::OneTimeKey::generate(token_, algorithm, as_bytes(key.text()));
  const std::lock_guard lock(mutex_);
  if (!made) {
    keys_.erase(key);
    return made.error();
  }
  auto public_key = (*made)->key().public_key();
  keys_.insert_or_assign(key, *std::move(made));
  return public_key;
}

Result<Bytes> OneTimeVault::make_certificate_request(const KeyId& key, const SignerId& owner, ByteView subject_der) {
  const auto held = find(key);
  if (!held) return ended();
  return signing_.make_certificate_request(held->key(), key, owner, subject_der);
}

VaultOutcome OneTimeVault::sign(Activation activation, const crypto::PublicKey& certified) {
  const auto held = find(activation.key());
  if (!held) return {.signature = std::nullopt, .refusal = VaultRefusal{ended(), /*definite=*/true}};
  return signing_.sign(held->key(), std::move(activation), certified);
}

Status OneTimeVault::destroy(const KeyId& key) {
  const auto held = find(key);
  if (!held) return token::OneTimeKey::check_gone(*token_, as_bytes(key.text()));
  if (auto destroyed = held->destroy(); !destroyed) return destroyed;
  const std::lock_guard lock(mutex_);
  keys_.erase(key);
  return {};
}

}  // namespace intaglio::custody
