#include "custody/resident/vault.h"

#include <mutex>

#include "base/check.h"
#include "base/log.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"

namespace intaglio::custody {
namespace {

/// One wrong signature may be a cosmic ray, two are a token that must not sign any more (TC-5).
constexpr unsigned wrong_signatures_that_retire_a_token = 2;

crypto::SignatureSuite possession_suite(crypto::KeyAlgorithm algorithm) {
  using enum crypto::KeyAlgorithm;
  switch (algorithm) {
    case rsa2048:
    case rsa3072:
    case rsa4096: return crypto::SignatureSuite::rsa_pss_sha256;
    case p256: return crypto::SignatureSuite::ecdsa_sha256;
    case p384: return crypto::SignatureSuite::ecdsa_sha384;
    case p521: return crypto::SignatureSuite::ecdsa_sha512;
  }
  panic("a key algorithm outside its enumeration");
}

VaultOutcome refuse(ErrorCode code, std::string detail, bool definite) {
  return {.signature = std::nullopt, .refusal = VaultRefusal{{code, std::move(detail)}, definite}};
}

}  // namespace

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
  const auto public_key = (*handle)->public_key();
  const auto suite = possession_suite(public_key.algorithm());
  auto info = crypto::encode_csr_info(subject_der, public_key);
  if (!info) return info.error();
  auto outcome = sign(Activation(key, owner, suite, crypto::digest(crypto::hash_of(suite), *info)), public_key);
  if (outcome.refusal) return outcome.refusal->error;
  return crypto::assemble_csr(*info, suite, *outcome.signature);
}

VaultOutcome ResidentVault::sign(Activation activation, const crypto::PublicKey& certified) {
  if (wrong_signatures_ >= wrong_signatures_that_retire_a_token) {
    return refuse(ErrorCode::token_unavailable, "the token is retired: it gave wrong signatures", /*definite=*/true);
  }
  auto handle = load(activation.key());
  if (!handle) return refuse(handle.error().code, handle.error().detail, /*definite=*/true);
  if (refused_by("custody.spki-equal", (*handle)->public_key().spki() != certified.spki())) {
    return refuse(ErrorCode::internal, "the token's key is not the certificate's key", /*definite=*/true);
  }
  auto outcome = token_->sign_for_activation(**handle, activation.suite(), activation.digest());
  if (outcome.refusal) {
    if (outcome.refusal->error.code == ErrorCode::not_found) {
      const std::unique_lock lock(mutex_);
      handles_.erase(activation.key());
    }
    return {.signature = std::nullopt, .refusal = VaultRefusal{std::move(outcome.refusal->error), outcome.refusal->definite}};
  }
  const auto verified = certified.verify_digest(activation.suite(), activation.digest(), *outcome.signature);
  if (refused_by("custody.signature-verified", !verified)) {
    // The bytes are dropped here: a faulty signature can reveal the key, so it is neither released nor logged.
    ++wrong_signatures_;
    token_->report_wrong_signature();
    log::error("token.wrong_signature", {{"key", activation.key().text()}});
    return refuse(ErrorCode::signature_doubtful, "the signature did not verify", /*definite=*/false);
  }
  return {.signature = std::move(outcome.signature), .refusal = std::nullopt};
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
