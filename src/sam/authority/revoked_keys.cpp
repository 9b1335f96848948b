#include "sam/authority/revoked_keys.h"

#include "base/check.h"
#include "sam/authority/voiding.h"

namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

namespace {

Status keep_inactive(Core& core, storage::Transaction& transaction, custody::StoredKey key) {
  auto& record = key.record;
  record.state = custody::KeyState::inactive;
  record.suspended_because.clear();
  record.inactive_until = core.clock->now() + *core.policy.revoked_keys_kept;
  if (auto updated = core.keys.update(transaction, key); !updated) return updated;
  auto named = transaction.execute("INSERT INTO inactive_keys (id, ends) VALUES (?1, ?2)",
                                   {std::string_view(record.id.text()), unix_seconds(record.inactive_until)});
  if (!named) return named.error();
  auto appended = core.log.append(transaction, Event{.type = EventType::key_suspended,
                                                     .actor = "ca",
                                                     .subject = record.id.text(),
                                                     .outcome = Outcome::success,
                                                     .fields = {{"reason", "the certificate is revoked"},
                                                                {"change", "inactive until " + format_utc(record.inactive_until)}}});
  return appended ? Status() : Status(appended.error());
}

}  // namespace

Result<bool> end_revoked_key(Core& core, storage::Transaction& transaction, custody::StoredKey key, crypto::RevocationReason reason) {
  auto& record = key.record;
  const bool ended = record.state == custody::KeyState::destroyed || record.state == custody::KeyState::inactive;
  const bool stays = ended || reason == crypto::RevocationReason::certificate_hold;
  if (record.revoked && stays) return false;
  record.revoked = true;
  auto done = stays                           ? core.keys.update(transaction, key)
              : core.policy.revoked_keys_kept ? keep_inactive(core, transaction, std::move(key))
                                              : void_key(core, transaction, std::move(key), {"ca", "the certificate is revoked", {}});
  if (!done) return done.error();
  return true;
}

Status end_inactive_keys(Core& core) {
  const auto now = core.clock->now();
  std::vector<KeyId> named;
  auto listed = core.database.read([&](storage::Reader& reader) {
    return reader.query("SELECT id FROM inactive_keys WHERE ends <= ?1 ORDER BY id", {unix_seconds(now)}, [&](const storage::Row& row) {
      if (auto id = KeyId::parse(row.text(0))) named.push_back(*std::move(id));
      return true;
    });
  });
  if (!listed) return listed;
  for (const auto& id : named) {
    auto ended = core.database.write([&](storage::Transaction& transaction) -> Status {
      auto key = core.keys.find(transaction, id);
      if (!key) return key.error();
      // The row is a hint of the database: the sealed record says whether and when.
      const bool due = *key && (*key)->record.state == custody::KeyState::inactive && (*key)->record.inactive_until <= now;
      if (refused_by("sam.inactive.ended", !due)) return {};
      auto done = transaction.execute("DELETE FROM inactive_keys WHERE id = ?1", {std::string_view(id.text())});
      if (!done) return done.error();
      return void_key(core, transaction, **std::move(key), {"sam:" + core.node, "its retention has ended", {}});
    });
    if (!ended) return ended;
  }
  return {};
}

}  // namespace intaglio::sam
