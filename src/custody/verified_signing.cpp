#include "custody/verified_signing.h"

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

VaultOutcome VerifiedSigning::sign(const token::SignerKey& key, Activation activation, const crypto::PublicKey& certified) {
  if (wrong_signatures_ >= wrong_signatures_that_retire_a_token) {
    return refuse(ErrorCode::token_unavailable, "the token is retired: it gave wrong signatures", /*definite=*/true);
  }
  if (refused_by("custody.spki-equal", key.public_key().spki() != certified.spki())) {
    return refuse(ErrorCode::internal, "the token's key is not the certificate's key", /*definite=*/true);
  }
  auto outcome = token_->sign_for_activation(key, activation.suite(), activation.digest());
  if (outcome.refusal) {
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

Result<Bytes> VerifiedSigning::make_certificate_request(const token::SignerKey& key, const KeyId& id, const SignerId& owner,
                                                        ByteView subject_der) {
  const auto& public_key = key.public_key();
  const auto suite = possession_suite(public_key.algorithm());
  auto info = crypto::encode_csr_info(subject_der, public_key);
  if (!info) return info.error();
  auto outcome = sign(key, Activation(id, owner, suite, crypto::digest(crypto::hash_of(suite), *info)), public_key);
  if (outcome.refusal) return outcome.refusal->error;
  return crypto::assemble_csr(*info, suite, *outcome.signature);
}

}  // namespace intaglio::custody
