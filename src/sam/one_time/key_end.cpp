#include "sam/one_time/key_end.h"

#include "base/check.h"
#include "base/log.h"
#include "sam/authority/voiding.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

/// Before the effect: from here on the records let nothing be signed with the key. The certificate that it had, if any.
Result<std::optional<Bytes>> void_record(Core& core, const KeyEnd& end) {
  std::optional<Bytes> certificate;
  auto voided = core.database.write([&](storage::Transaction& transaction) -> Status {
    certificate.reset();
    auto key = core.keys.find(transaction, end.key);
    if (!key) return key.error();
    if (!*key) return {};
    auto& stored = **key;
    if (!stored.record.certificates.empty()) certificate = stored.record.certificates.front();
    if (stored.record.state == custody::KeyState::destroyed) return {};
    stored.record.state = custody::KeyState::destroyed;
    if (auto updated = core.keys.update(transaction, stored); !updated) return updated;
    Event event{.type = EventType::key_voided,
                .actor = end.actor,
                .subject = end.key.text(),
                .outcome = Outcome::success,
                .fields = {{"reason", end.reason}}};
    if (!end.authorisation.empty()) event.fields.emplace_back("authorisation", end.authorisation);
    auto appended = core.log.append(transaction, event);
    return appended ? Status() : Status(appended.error());
  });
  if (!voided) return voided.error();
  return certificate;
}

Result<Event> orphan_event(const KeyId& key, ByteView der, const std::string& actor, std::string_view told_by) {
  auto certificate = crypto::Certificate::parse_der(der);
  if (!certificate) return certificate.error();
  return Event{.type = EventType::certificate_orphaned,
               .actor = actor,
               .subject = key.text(),
               .outcome = Outcome::failed,
               .fields = {{"certificate", encode_base64url(certificate->fingerprint())},
                          {"serial", certificate->serial_hex()},
                          {"not_after", format_utc(certificate->not_after())},
                          {"told_by", std::string(told_by)}}};
}

}  // namespace

Result<audit::EntryReference> end_key(Core& core, const KeyEnd& end) {
  if (core.one_time_vault == nullptr) return Error{ErrorCode::unsupported, "no token of this SAM serves one-time custody"};
  const auto certificate = void_record(core, end);
  if (!certificate) {
    // Neither database nor log may keep a key alive: it goes now, and what there is to record waits for the sweep.
    if (auto destroyed = core.one_time_vault->destroy(end.key); !destroyed)
      log::refusal("one_time.not_destroyed", destroyed.error(), {{"key", end.key.text()}});
    return certificate.error();
  }
  fault_point("sam.one-time.voided");
  if (auto destroyed = core.one_time_vault->destroy(end.key); !destroyed) return destroyed.error();
  fault_point("sam.one-time.destroyed");
  std::optional<audit::EntryReference> proof;
  auto recorded = core.database.write([&](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("DELETE FROM pending_keys WHERE id = ?1", {std::string_view(end.key.text())});
    if (!done) return done.error();
    if (*done == 0) return Error{ErrorCode::conflict, "the end of this key is recorded already"};
    auto appended = core.log.append(transaction, Event{.type = EventType::key_destroyed,
                                                       .actor = "sam:" + core.node,
                                                       .subject = end.key.text(),
                                                       .outcome = Outcome::success,
                                                       .fields = {{"reason", end.reason}}});
    if (!appended) return appended.error();
    proof = *appended;
    if (end.released || !*certificate) return {};
    auto event = orphan_event(end.key, **certificate, "sam:" + core.node, "session");
    if (!event) return event.error();
    event->fields.emplace_back("destroyed", std::to_string(appended->index));
    auto orphaned = core.log.append(transaction, *event);
    return orphaned ? Status() : Status(orphaned.error());
  });
  if (!recorded) return recorded.error();
  if (!end.released && *certificate) log::warn("certificate.orphaned", {{"key", end.key.text()}});
  return *proof;
}

Status end_left_keys(Core& core, const std::function<bool(const KeyId&)>& alive) {
  auto pending = own_pending_keys(core);
  if (!pending) return pending.error();
  for (const auto& [key, record] : *pending) {
    if (!record || !is_one_time(core, record->record) || alive(key)) continue;
    auto ended = end_key(core, {key, "sam:" + core.node, "its session was interrupted", {}, /*released=*/false});
    if (!ended) return ended.error();
    log::warn("one_time.interrupted", {{"key", key.text()}});
  }
  return {};
}

Result<audit::EntryReference> report_orphan(Core& core, const KeyId& key, ByteView der) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto certificate = crypto::Certificate::parse_der(der);
  if (!certificate) return Error{ErrorCode::certificate_invalid, certificate.error().detail};
  auto certified = certificate->public_key();
  if (!certified) return Error{ErrorCode::certificate_invalid, certified.error().detail};
  if (auto path = crypto::verify_chain(*certificate, {}, core.policy.ca_anchors(), core.clock->now()); refused_by("sam.orphan.path", !path))
    return Error{ErrorCode::certificate_invalid, path.error().detail};
  auto event = orphan_event(key, der, "sam:" + core.node, "ssa");
  if (!event) return event.error();
  std::optional<audit::EntryReference> entry;
  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    auto stored = core.keys.find(transaction, key);
    if (!stored) return stored.error();
    if (!*stored || !is_one_time(core, (*stored)->record)) return Error{ErrorCode::not_found, "no one-time key of that id"};
    auto& record = (*stored)->record;
    auto waits = pending_keys(core).find(transaction, key.text());
    if (!waits) return waits.error();
    if (refused_by("sam.orphan.destroyed", record.state != custody::KeyState::destroyed || waits->has_value()))
      return Error{ErrorCode::not_found, "the key is not destroyed yet"};
    if (refused_by("sam.orphan.key", certified->spki() != record.spki))
      return Error{ErrorCode::certificate_invalid, "the certificate is of another key"};
    if (refused_by("sam.orphan.once", !record.certificates.empty()))
      return Error{ErrorCode::conflict, "the session had a certificate, or it was reported before"};
    record.certificates = {to_bytes(der)};
    if (auto updated = core.keys.update(transaction, **stored); !updated) return updated;
    auto appended = core.log.append(transaction, *event);
    if (!appended) return appended.error();
    entry = *appended;
    return {};
  });
  if (!written) return written.error();
  log::warn("certificate.orphaned", {{"key", key.text()}, {"told_by", "ssa"}});
  return *entry;
}

}  // namespace intaglio::sam
