#include "sam/sign/opening.h"

#include "base/check.h"
#include "sam/authorise/wrapped_keys.h"

namespace intaglio::sam {

Result<Opening> reserve_opening(const Core& core, storage::Transaction& transaction, const std::string& authorisation,
                                const custody::KeyRecord& key, std::size_t signatures) {
  if (core.locked_vault == nullptr) return Error{ErrorCode::unsupported, "no token of this SAM serves wrapped custody"};
  auto stored = core.sealed_keys.find(transaction, key.id);
  if (!stored) return stored.error();
  if (!*stored) return Error{ErrorCode::credential_disabled, "the key is not in wrapped custody"};
  auto& row = (*stored)->row;
  if (refused_by("sam.sign.provider", row.provider != core.locked_vault->provider()))
    return Error{ErrorCode::credential_disabled, "the key was sealed by another provider: " + row.provider};
  auto share = take_share(core, transaction, authorisation, signatures);
  if (!share) return share.error();
  return Opening{binding_of(key, row.policy_version), std::move(row.sealed), *std::move(share), signatures};
}

namespace {

Result<std::unique_ptr<custody::ActivationSigner>> join_and_open(const Core& core, const Opening& opening, std::string_view sad,
                                                                 const crypto::PublicKey& certified) {
  const auto lock = join_lock(sad, opening.share);
  if (!lock) return lock.error();
  auto opened = core.locked_vault->open(opening.binding, certified, opening.sealed, *lock, opening.signatures);
  // The PIN was verified when the lock was made: this is no attempt of the signer's.
  if (!opened && opened.error().code == ErrorCode::authentication_failed)
    return Error{ErrorCode::sad_invalid, "the lock of this authorisation is not the key's: " + opened.error().detail};
  return opened;
}

}  // namespace

Result<std::unique_ptr<custody::ActivationSigner>> open_key(const Core& core, const Opening& opening, std::string_view sad,
                                                            const crypto::PublicKey& certified) {
  try {
    return join_and_open(core, opening, sad, certified);
  } catch (const SecretsExhausted& full) {
    // What was reserved must have its outcome.
    return Error{ErrorCode::busy, full.what()};
  }
}

}  // namespace intaglio::sam
