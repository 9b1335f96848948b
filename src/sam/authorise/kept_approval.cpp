#include "sam/authorise/kept_approval.h"

#include "evidence/approval.h"
#include "evidence/device_approval.h"
#include "evidence/identity_approval.h"

namespace intaglio::sam {
namespace {

Bytes encoded_identification(const SapMessage& message, const IdentityProof& identity) {
  return evidence::encode(evidence::IdentityApproval{.transaction = protocol::encode(message.transaction),
                                                     .terms = message.terms,
                                                     .act = message.act,
                                                     .provider = identity.provider,
                                                     .salt = identity.link.salt,
                                                     .subject = identity.link.subject,
                                                     .taken = identity.taken,
                                                     .token = std::string(as_text(identity.said.evidence))});
}

Bytes encoded_device_approval(const SapMessage& message, const DeviceProof& proof) {
  return evidence::encode(evidence::DeviceApproval{.transaction = protocol::encode(message.transaction),
                                                   .terms = message.terms,
                                                   .act = message.act,
                                                   .message_id = proof.message_id,
                                                   .spki = proof.device.spki,
                                                   .signature = proof.signature});
}

/// What the proof shows, as anyone can verify it again; nothing when there is none.
std::optional<Bytes> encoded_approval(const Core& core, const SapMessage& message, const FactorsProven& proven) {
  if (const auto& identity = proven.identity(); identity) return encoded_identification(message, *identity);
  if (const auto& device = proven.device(); device) return encoded_device_approval(message, *device);
  const auto& proof = proven.passkey();
  const auto* rules = core.policy.passkeys();
  if (!proof || rules == nullptr) return std::nullopt;
  return evidence::encode(evidence::Approval{.transaction = protocol::encode(message.transaction),
                                             .terms = message.terms,
                                             .act = message.act,
                                             .rp_id = rules->rp_id,
                                             .origins = rules->origins,
                                             .spki = proof->passkey.spki,
                                             .suite = proof->passkey.suite,
                                             .backup_eligible = proof->passkey.backup_eligible,
                                             .response = proof->response});
}

}  // namespace

sealed::Table kept_approvals(const std::shared_ptr<const sealed::Sealer>& sealer) {
  return {sealer, "approvals", sealed::Rollback::tolerated};
}

Result<std::optional<crypto::Sha256Digest>> keep_approval(const Core& core, storage::Transaction& transaction, const SapMessage& message,
                                                          const FactorsProven& proven) {
  const auto encoded = encoded_approval(core, message, proven);
  if (!encoded) return std::optional<crypto::Sha256Digest>();
  if (auto kept = kept_approvals(core.sealer).insert(transaction, encode_base64url(message.transaction.nonce), *encoded); !kept)
    return kept.error();
  return std::optional(crypto::sha256(*encoded));
}

Result<crypto::Sha256Digest> keep_identification(const Core& core, storage::Transaction& transaction, const SapMessage& message,
                                                 const IdentityProof& identity) {
  const auto encoded = encoded_identification(message, identity);
  if (auto kept = kept_approvals(core.sealer).insert(transaction, encode_base64url(message.transaction.nonce), encoded); !kept)
    return kept.error();
  return crypto::sha256(encoded);
}

}  // namespace intaglio::sam
