#include "sam/authorise/kept_approval.h"

#include "evidence/approval.h"

namespace intaglio::sam {

sealed::Table kept_approvals(const std::shared_ptr<const sealed::Sealer>& sealer) {
  return {sealer, "approvals", sealed::Rollback::tolerated};
}

Result<std::optional<crypto::Sha256Digest>> keep_approval(const Core& core, storage::Transaction& transaction, const SapMessage& message,
                                                          const FactorsProven& proven) {
  const auto& proof = proven.passkey();
  const auto* rules = core.policy.passkeys();
  if (!proof || rules == nullptr) return std::optional<crypto::Sha256Digest>();
  const auto encoded = evidence::encode(evidence::Approval{.transaction = protocol::encode(message.transaction),
                                                           .terms = message.terms,
                                                           .act = message.act,
                                                           .rp_id = rules->rp_id,
                                                           .origins = rules->origins,
                                                           .spki = proof->passkey.spki,
                                                           .suite = proof->passkey.suite,
                                                           .backup_eligible = proof->passkey.backup_eligible,
                                                           .response = proof->response});
  if (auto kept = kept_approvals(core.sealer).insert(transaction, encode_base64url(message.transaction.nonce), encoded); !kept)
    return kept.error();
  return std::optional(crypto::sha256(encoded));
}

}  // namespace intaglio::sam
