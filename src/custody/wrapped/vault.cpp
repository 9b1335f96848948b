#include "custody/wrapped/vault.h"

#include "base/check.h"

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

}  // namespace intaglio::custody
