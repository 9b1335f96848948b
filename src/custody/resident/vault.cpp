#include "custody/resident/vault.h"

#include <mutex>

namespace intaglio::custody {

Result<std::shared_ptr<const token::SignerKey>> ResidentVault::load(const KeyId& key) {
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = handles_.find(key); found != handles_.end()) return found->second;
  }
  auto handle = token_->find_signer_key(as_bytes(key.text()));
  if (!handle) return handle.error();
  auto kept = std::make_shared<const token::SignerKey>(std::move(*handle));
  const std::unique_lock lock(mutex_);
  handles_.insert_or_assign(key, kept);
  return kept;
}

Result<crypto::PublicKey> ResidentVault::generate(const KeyId& key, crypto::KeyAlgorithm algorithm) {
  auto made = token_->generate_signer_key(algorithm, as_bytes(key.text()), "signer " + key.text());
  if (!made) return made.error();
  auto kept = std::make_shared<const token::SignerKey>(std::move(*made));
  const std::unique_lock lock(mutex_);
  handles_.insert_or_assign(key, kept);
  return kept->public_key();
}

Result<Bytes> ResidentVault::make_certificate_request(const KeyId& key, const SignerId& owner, ByteView subject_der) {
  auto handle = load(key);
  if (!handle) return handle.error();
  return signing_.make_certificate_request(**handle, key, owner, subject_der);
}

VaultOutcome ResidentVault::sign(Activation activation, const crypto::PublicKey& certified) {
  const auto key = activation.key();
  auto handle = load(key);
  if (!handle) return {.signature = std::nullopt, .refusal = VaultRefusal{handle.error(), /*definite=*/true}};
  auto outcome = signing_.sign(**handle, std::move(activation), certified);
  if (outcome.refusal && outcome.refusal->error.code == ErrorCode::not_found) {
    const std::unique_lock lock(mutex_);
    handles_.erase(key);
  }
  return outcome;
}

Status ResidentVault::destroy(const KeyId& key) {
  auto handle = load(key);
  if (!handle) return handle.error().code == ErrorCode::not_found ? Status() : Status(handle.error());
  {
    const std::unique_lock lock(mutex_);
    handles_.erase(key);
  }
  if (auto destroyed = token_->destroy(**handle); !destroyed) return destroyed;
  auto again = token_->find_signer_key(as_bytes(key.text()));
  if (again) return Error{ErrorCode::internal, "the key is still in the token after its destruction"};
  if (again.error().code != ErrorCode::not_found) return again.error();
  return {};
}

}  // namespace intaglio::custody
