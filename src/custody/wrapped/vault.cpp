#include "custody/wrapped/vault.h"

#include "base/check.h"
#include "crypto/random.h"
#include "custody/wrapped/lock.h"

namespace intaglio::custody {
namespace {

VaultOutcome refuse(ErrorCode code, std::string detail) {
  return {.signature = std::nullopt, .refusal = VaultRefusal{{code, std::move(detail)}, /*definite=*/true}};
}

}  // namespace

VaultOutcome OpenedKey::sign(Activation activation, const crypto::PublicKey& certified) {
  if (refused_by("custody.activation-of-opened-key", activation.key() != key_ || activation.signer() != owner_)) {
    return refuse(ErrorCode::internal, "an activation of another key or signer than the one that is open");
  }
  if (refused_by("custody.one-batch", left_ == 0)) {
    return refuse(ErrorCode::internal, "the batch for which the key was opened is signed");
  }
  // Counted before the token is asked: a signature in doubt is one of the batch.
  left_ -= left_ == 0 ? 0 : 1;
  return signing_->sign(activated_.key(), std::move(activation), certified);
}

Result<Bytes> WrappedVault::make_certificate_request(const KeyBinding& binding, const crypto::PublicKey& public_key,
                                                     const SealedKey& sealed, const Secret& lock, ByteView subject_der) {
  auto activated = provider_->activate(binding, public_key, sealed, lock);
  if (!activated) return activated.error();
  return signing_->make_certificate_request(activated->key(), binding.key, binding.owner, subject_der);
}

Result<std::unique_ptr<ActivationSigner>> WrappedVault::open(const KeyBinding& binding, const crypto::PublicKey& certified,
                                                             const SealedKey& sealed, const Secret& lock, std::size_t batch) {
  if (batch == 0) return Error{ErrorCode::invalid_request, "a key is opened for one signature at least"};
  auto activated = provider_->activate(binding, certified, sealed, lock);
  if (!activated) return activated.error();
  return std::unique_ptr<ActivationSigner>(new OpenedKey(signing_, binding.key, binding.owner, *std::move(activated), batch));
}

Status WrappedVault::check(crypto::KeyAlgorithm algorithm) {
  const auto unable = [&](std::string_view what, const Error& why) {
    return Error{ErrorCode::unsupported, "the token cannot hold keys in wrapped custody: " + std::string(what) + " an " +
                                             std::string(name_of(algorithm)) + " key failed (" + why.detail + ")"};
  };
  auto key = KeyId::parse("self-test");
  auto owner = SignerId::parse("self-test");
  if (!key || !owner) panic("the names of the self-test are no names");
  const KeyBinding binding{*std::move(key), *std::move(owner), Bytes(16, 0), "self-test", 0};
  auto lock = crypto::random_secret(min_lock);
  auto other = crypto::random_secret(min_lock);
  if (!lock) return lock.error();
  if (!other) return other.error();
  const auto made = provider_->generate(binding, algorithm, *lock);
  if (!made) return unable("generating and wrapping", made.error());
  if (auto opened = provider_->activate(binding, made->public_key, made->sealed, *lock); !opened)
    return unable("unwrapping", opened.error());
  const auto wrong = provider_->activate(binding, made->public_key, made->sealed, *other);
  if (wrong) return unable("refusing a wrong lock for", {ErrorCode::internal, "it was opened"});
  if (wrong.error().code != ErrorCode::authentication_failed) return unable("refusing a wrong lock for", wrong.error());
  return {};
}

}  // namespace intaglio::custody
