#include "sam/authority/voiding.h"

#include "base/check.h"
#include "sam/sign/lock_shares.h"

namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

sealed::Table pending_keys(const std::shared_ptr<const sealed::Sealer>& sealer) {
  return {sealer, "pending_keys", sealed::Rollback::tolerated};
}

Status void_key(Core& core, storage::Transaction& transaction, custody::StoredKey key, const VoidingReason& why) {
  const auto pending = pending_keys(core.sealer);
  return void_key(KeyLedger{core.keys, core.sealed_keys, pending, core.log, core.node}, transaction, std::move(key), why);
}

Status void_key(const KeyLedger& ledger, storage::Transaction& transaction, custody::StoredKey key, const VoidingReason& why) {
  key.record.state = custody::KeyState::destroyed;
  key.record.suspended_because.clear();
  if (auto updated = ledger.keys.update(transaction, key); !updated) return updated;
  // In wrapped custody the key is its row: it goes here, and what waits for the token is nothing.
  if (auto gone = ledger.sealed_keys.destroy(transaction, key.record.id); !gone) return gone;
  if (auto named = ledger.pending_keys.insert(transaction, key.record.id.text(), as_bytes(ledger.node)); !named) return named;
  Event event{.type = EventType::key_voided,
              .actor = why.actor,
              .subject = key.record.id.text(),
              .outcome = Outcome::success,
              .fields = {{"reason", why.reason}}};
  event.fields.insert(event.fields.end(), why.references.begin(), why.references.end());
  auto appended = ledger.log.append(transaction, event);
  return appended ? Status() : Status(appended.error());
}

Status void_authorisations(Core& core, storage::Transaction& transaction, const SignerId& signer) {
  const auto index = core.sealer->blind_index("authorisations", "signer", as_bytes(signer.text()));
  if (auto forgotten = forget_shares_of(transaction, index); !forgotten) return forgotten;
  auto voided = transaction.execute("DELETE FROM authorisations WHERE signer = ?1", {ByteView(index)});
  return voided ? Status() : Status(voided.error());
}

Result<std::vector<PendingKey>> own_pending_keys(Core& core) {
  std::vector<PendingKey> found;
  auto loaded = core.database.read([&](storage::Reader& reader) -> Status {
    std::vector<KeyId> named;
    auto listed = reader.query("SELECT id FROM pending_keys ORDER BY id", {}, [&](const storage::Row& row) {
      if (auto id = KeyId::parse(row.text(0))) named.push_back(*id);
      return true;
    });
    if (!listed) return listed;
    for (const auto& key : named) {
      auto row = pending_keys(core.sealer).find_in_snapshot(reader, key.text());
      if (!row) return row.error();
      if (!*row || as_text((*row)->content.reveal()) != core.node) continue;
      auto record = core.keys.find_in_snapshot(reader, key);
      if (!record) return record.error();
      found.push_back({key, std::move(*record)});
    }
    return {};
  });
  if (!loaded) return loaded.error();
  return found;
}

bool is_one_time(const Core& core, const custody::KeyRecord& record) noexcept {
  const auto* profile = core.policy.profile(record.profile);
  return profile != nullptr && profile->custody == custody::Mode::one_time;
}

Status destroy_pending_key(Core& core, const KeyId& key, std::string_view reason) {
  if (auto destroyed = core.vault.destroy(key); !destroyed) return destroyed;
  // A key in the making has no record that says in which custody.
  if (core.one_time_vault != nullptr) {
    if (auto destroyed = core.one_time_vault->destroy(key); !destroyed) return destroyed;
  }
  return core.database.write([&](storage::Transaction& write) -> Status {
    auto done = write.execute("DELETE FROM pending_keys WHERE id = ?1", {std::string_view(key.text())});
    if (!done) return done.error();
    // Two rounds may have met: the one that removed the row tells of it.
    if (*done == 0) return {};
    auto appended = core.log.append(write, Event{.type = EventType::key_destroyed,
                                                 .actor = "sam:" + core.node,
                                                 .subject = key.text(),
                                                 .outcome = Outcome::success,
                                                 .fields = {{"reason", std::string(reason)}}});
    return appended ? Status() : Status(appended.error());
  });
}

Status destroy_voided_keys(Core& core) {
  auto pending = own_pending_keys(core);
  if (!pending) return pending.error();
  for (const auto& [key, record] : *pending) {
    // A row without a record is a key in the making.
    if (!record) continue;
    // Sessions end their own keys (one_time/key_end.h).
    if (is_one_time(core, record->record)) continue;
    if (refused_by("sam.destroy.voided", record->record.state != custody::KeyState::destroyed)) continue;
    if (auto destroyed = destroy_pending_key(core, key, "voided"); !destroyed) return destroyed;
  }
  return {};
}

}  // namespace intaglio::sam
