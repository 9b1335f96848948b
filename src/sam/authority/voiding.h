#pragma once

#include "sam/core.h"

/// The end of a key: first for certain in the records, then in the token. There is no way back (SRG_KM.6.1).
namespace intaglio::sam {

/// Why, and on whose word.
struct VoidingReason {
  std::string actor, reason;
  std::vector<std::pair<std::string, std::string>> references;  ///< more fields of the audit entry
};
/// What the end of a key is written in.
struct KeyLedger {
  const custody::KeyStore& keys;
  const custody::SealedKeyStore& sealed_keys;
  const sealed::Table& pending_keys;
  audit::Log& log;
  const std::string& node;  ///< that cares for what is left to do in the token
};
/// Within the transaction of the decision: the key is DESTROYED and is named to be destroyed in the token.
Status void_key(const KeyLedger& ledger, storage::Transaction& transaction, custody::StoredKey key, const VoidingReason& why);
Status void_key(Core& core, storage::Transaction& transaction, custody::StoredKey key, const VoidingReason& why);

/// Destroys in the token what was voided but for one-time keys, whatever an earlier try or start left. After a decision, at start and every half minute.
Status destroy_voided_keys(Core& core);

/// What the signer approved and was not signed yet is void.
Status void_authorisations(Core& core, storage::Transaction& transaction, const SignerId& signer);

/// Keys that are being generated or wait for their destruction, sealed: id of the key, node that cares for it.
[[nodiscard]] sealed::Table pending_keys(const std::shared_ptr<const sealed::Sealer>& sealer);
[[nodiscard]] inline sealed::Table pending_keys(const Core& core) { return pending_keys(core.sealer); }
/// The keys that rows of `pending_keys` name and that this node sealed there, each with its record if it has one.
struct PendingKey {
  KeyId key;
  std::optional<custody::StoredKey> record;
};
[[nodiscard]] Result<std::vector<PendingKey>> own_pending_keys(Core& core);
/// Whether the key is one of a session.
[[nodiscard]] bool is_one_time(const Core& core, const custody::KeyRecord& record) noexcept;
/// Destroys the key in the token; then its row goes, with the audit entry.
Status destroy_pending_key(Core& core, const KeyId& key, std::string_view reason);

}  // namespace intaglio::sam
