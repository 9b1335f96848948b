#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "crypto/certificate.h"
#include "crypto/random.h"
#include "crypto/signer.h"
#include "custody/wrapped/locked_vault.h"

/// For the unit tests of this room.
namespace intaglio::sam::testing {

/// Keys in wrapped custody as a token keeps them, in memory: a key opens for the binding and the lock that it was sealed with, and is
/// open for as long as what `open` returned lives. Counts what was asked of it and misbehaves on command.
class MemoryLockedVault final : public custody::LockedVault {
 public:
  Result<custody::SealedPair> generate(const custody::KeyBinding& binding, crypto::KeyAlgorithm, const Secret& lock) override {
    auto made = crypto::SoftwareKey::generate();
    if (!made) return made.error();
    const std::lock_guard guard(mutex_);
    return custody::SealedPair{(*made)->public_key(), seal({*made, binding, lock.clone()})};
  }
  Result<Bytes> make_certificate_request(const custody::KeyBinding& binding, const crypto::PublicKey&, const custody::SealedKey& sealed,
                                         const Secret& lock, ByteView subject) override {
    auto key = find(binding, sealed, lock);
    if (!key) return key.error();
    auto info = crypto::encode_csr_info(subject, (*key)->public_key());
    if (!info) return info.error();
    auto signature = (*key)->sign(crypto::SignatureSuite::ecdsa_sha256, *info);
    if (!signature) return signature.error();
    return crypto::assemble_csr(*info, crypto::SignatureSuite::ecdsa_sha256, *signature);
  }
  Result<std::unique_ptr<custody::ActivationSigner>> open(const custody::KeyBinding& binding, const crypto::PublicKey&,
                                                          const custody::SealedKey& sealed, const Secret& lock,
                                                          std::size_t batch) override {
    if (refusals_left > 0) {
      --refusals_left;
      return Error{ErrorCode::token_unavailable, "told to refuse"};
    }
    if (exhausted) throw SecretsExhausted();
    auto key = find(binding, sealed, lock);
    if (!key) return key.error();
    ++openings;
    return std::unique_ptr<custody::ActivationSigner>(new Opened(*this, *std::move(key), batch));
  }
  Result<custody::SealedKey> change_lock(const custody::KeyBinding& old_binding, const custody::KeyBinding& new_binding,
                                         const crypto::PublicKey&, const custody::SealedKey& old, const Secret& old_lock,
                                         const Secret& new_lock) override {
    if (const auto work = std::exchange(before_change, nullptr)) work();
    auto key = find(old_binding, old, old_lock);
    if (!key) return key.error();
    const std::lock_guard guard(mutex_);
    return seal({*std::move(key), new_binding, new_lock.clone()});
  }
  std::string key_authorisation() const override { return "emulated"; }
  std::string_view provider() const noexcept override { return name; }

  std::string name = "memory";
  int openings = 0, signatures = 0;
  int open_now = 0;       ///< keys that are open
  int refusals_left = 0;  ///< of `open`
  int doubts_left = 0;    ///< signatures that end in doubt
  bool exhausted = false; ///< `open` finds no room for a secret
  std::function<void()> before_change;  ///< runs before the next change of a lock

 private:
  struct Kept {
    std::shared_ptr<crypto::SoftwareKey> key;
    custody::KeyBinding binding;
    Secret lock;
  };
  class Opened final : public custody::ActivationSigner {
   public:
    Opened(MemoryLockedVault& vault, std::shared_ptr<crypto::SoftwareKey> key, std::size_t batch)
        : vault_(vault), key_(std::move(key)), left_(batch) {
      ++vault_.open_now;
    }
    ~Opened() override { --vault_.open_now; }
    custody::VaultOutcome sign(custody::Activation activation, const crypto::PublicKey&) override {
      if (left_ == 0)
        return {.signature = std::nullopt, .refusal = custody::VaultRefusal{{ErrorCode::internal, "the batch is signed"}, true}};
      --left_;
      if (vault_.doubts_left > 0) {
        --vault_.doubts_left;
        return {.signature = std::nullopt, .refusal = custody::VaultRefusal{{ErrorCode::signature_doubtful, "told to doubt"}, false}};
      }
      ++vault_.signatures;
      return {.signature = *key_->sign_digest(activation.suite(), activation.digest()), .refusal = std::nullopt};
    }

   private:
    MemoryLockedVault& vault_;
    std::shared_ptr<crypto::SoftwareKey> key_;
    std::size_t left_;
  };

  custody::SealedKey seal(Kept kept) {
    auto blob = to_bytes("sealed-" + std::to_string(keys_.size()));
    keys_.emplace(blob, std::move(kept));
    return {std::move(blob), to_bytes("locked")};
  }
  Result<std::shared_ptr<crypto::SoftwareKey>> find(const custody::KeyBinding& binding, const custody::SealedKey& sealed,
                                                    const Secret& lock) {
    const std::lock_guard guard(mutex_);
    const auto found = keys_.find(sealed.blob);
    const auto same = [&](const custody::KeyBinding& kept) {
      return kept.key == binding.key && kept.owner == binding.owner && kept.holder == binding.holder && kept.profile == binding.profile &&
             kept.policy_version == binding.policy_version;
    };
    if (found == keys_.end() || !same(found->second.binding)) return Error{ErrorCode::storage_unavailable, "sealed for another binding"};
    if (!same_secret(found->second.lock.reveal(), lock.reveal())) return Error{ErrorCode::authentication_failed, "a wrong lock"};
    return found->second.key;
  }

  std::mutex mutex_;
  std::map<Bytes, Kept> keys_;
};

}  // namespace intaglio::sam::testing
