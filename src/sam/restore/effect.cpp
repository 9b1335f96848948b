#include <algorithm>

#include "crypto/random.h"
#include "sam/authority/voiding.h"
#include "sam/restore/restore.h"
#include "sam/roles/proposals.h"

/// What a restore does once two persons approved it: one transaction, each step with its entry in the log.
namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

namespace {

constexpr std::string_view actor = "restore";
constexpr std::string_view reason = "changed after the backup";

Status append_event(audit::Log& log, storage::Transaction& transaction, const Event& event) {
  auto appended = log.append(transaction, event);
  return appended ? Status() : Status(appended.error());
}

/// As after a reset whose activation code nobody has: only another reset leads on.
Result<SignerRecord> without_factors(const SignerRecord& before, UnixTime now) {
  auto incarnation = crypto::random_bytes(16);
  auto salt = crypto::random_bytes(16);
  auto digest = crypto::random_bytes(32);
  if (!incarnation) return incarnation.error();
  if (!salt) return salt.error();
  if (!digest) return digest.error();
  return SignerRecord{.id = before.id,
                      .incarnation = std::move(*incarnation),
                      .identity = before.identity,
                      .created_by = before.created_by,
                      .created = before.created,
                      .activation_salt = std::move(*salt),
                      .activation_digest = std::move(*digest),
                      .activation_ends = now,
                      .activation_tries_left = 0,
                      .pin = std::nullopt,
                      .totp_seed = {}};
}

}  // namespace

Status Restore::take_effect(storage::Transaction& transaction, audit::Log& log, const crypto::Sha256Digest& statement,
                            const Approvers& by) {
  if (auto replayed = log.replay(transaction, remains_); !replayed) return replayed;
  if (auto forward = sealed::bring_forward(transaction, *ground_.sealer, survey_); !forward) return forward;
  auto before = load_restored(state_, transaction);
  if (!before) return before.error();
  const auto now = ground_.clock->now();
  const Restored restored{.epochs = std::max(static_cast<std::uint64_t>(unix_seconds(now)), before->epochs + 1),
                          .at = now,
                          .statement = to_bytes(ByteView(statement)),
                          .anchored = remains_.anchored(),
                          .anchored_running = to_bytes(ByteView(remains_.anchored_running()))};
  auto told = append_event(log, transaction,
                           Event{.type = EventType::database_restored,
                                 .actor = std::string(actor),
                                 .subject = ground_.node,
                                 .outcome = Outcome::success,
                                 .fields = {{"statement", encode_base64url(statement)},
                                            {"approved_by", by.executor + ' ' + by.observer},
                                            {"database_entries", std::to_string(remains_.in_database())},
                                            {"known_entries", std::to_string(remains_.known())},
                                            {"anchored_entries", std::to_string(remains_.anchored())},
                                            {"rows_behind", std::to_string(survey_.behind().size())},
                                            {"rows_gone", std::to_string(survey_.absent)},
                                            {"epoch", std::to_string(policy_->policy.epoch() + restored.epochs)}}});
  if (!told) return told;
  if (before->epochs == 0) {
    if (auto kept = state_.insert(transaction, restored_record, encode(restored)); !kept) return kept;
  } else {
    auto found = state_.find(transaction, restored_record);
    if (!found) return found.error();
    if (auto kept = state_.update(transaction, restored_record, (*found)->version, encode(restored)); !kept) return kept;
  }
  for (const auto step :
       {&Restore::suspend_users, &Restore::install_policy, &Restore::void_signers, &Restore::void_keys, &Restore::lock_counters}) {
    if (auto done = (this->*step)(transaction, log); !done) return done;
  }
  if (auto ended = end_keys_in_the_making(transaction); !ended) return ended;
  if (auto ended = end_proposals(transaction); !ended) return ended;
  // Of another epoch in any case; no half of a lock stays behind, and what was reserved is burned at the start.
  for (const std::string_view sql :
       {std::string_view("DELETE FROM lock_shares"),
        std::string_view("DELETE FROM authorisations WHERE id NOT IN (SELECT authorisation FROM open_reservations)")}) {
    if (auto gone = transaction.execute(sql, {}); !gone) return gone.error();
  }
  return {};
}

Status Restore::suspend_users(storage::Transaction& transaction, audit::Log& log) {
  const UserRegistry registry(ground_.sealer);
  auto loaded = registry.load(transaction);
  if (!loaded) return loaded.error();
  bool changed = false;
  for (const auto& id : news_.changed_users) {
    auto* user = loaded->users.find(id);
    if (user == nullptr) continue;
    user->suspend();
    changed = true;
    auto told = append_event(log, transaction,
                             Event{.type = EventType::user_changed,
                                   .actor = std::string(actor),
                                   .subject = id,
                                   .outcome = Outcome::success,
                                   .fields = {{"change", "suspended"}, {"reason", std::string(reason)}}});
    if (!told) return told;
  }
  return changed ? registry.store(transaction, *loaded) : Status();
}

Status Restore::install_policy(storage::Transaction& transaction, audit::Log& log) {
  if (!policy_->newer) return {};
  auto found = state_.find(transaction, "policy");
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::conflict, "the policy went meanwhile"};
  if (auto updated = state_.update(transaction, "policy", (*found)->version, policy_->document); !updated) return updated;
  return append_event(log, transaction,
                      Event{.type = EventType::policy_installed,
                            .actor = std::string(actor),
                            .subject = policy_->policy.id(),
                            .outcome = Outcome::success,
                            .fields = {{"policy_digest", encode_base64url(crypto::sha256(policy_->document))}}});
}

Status Restore::void_key_of(storage::Transaction& transaction, audit::Log& log, custody::StoredKey key) const {
  return void_key(KeyLedger{keys_, sealed_keys_, pending_keys_, log, ground_.node}, transaction, std::move(key),
                  {std::string(actor), std::string(reason), {}});
}

Status Restore::void_signers(storage::Transaction& transaction, audit::Log& log) {
  for (const auto& id : doubtful_.signers) {
    auto found = signers_.find(transaction, id);
    if (!found) return found.error();
    // Factors of nobody: a signer who was made after the backup is gone with his record.
    if (!*found) continue;
    auto record = parse_signer((*found)->content.reveal());
    if (!record) return record.error();
    auto changed = without_factors(*record, ground_.clock->now());
    if (!changed) return changed.error();
    const auto encoded = encode(*changed);
    if (auto updated = signers_.update(transaction, id, (*found)->version, encoded.reveal()); !updated) return updated;
    auto keys = keys_.of_owner(transaction, record->id);
    if (!keys) return keys.error();
    std::size_t voided = 0;
    for (auto& key : *keys) {
      if (key.record.state == custody::KeyState::destroyed) continue;
      if (auto done = void_key_of(transaction, log, std::move(key)); !done) return done;
      ++voided;
    }
    auto told = append_event(log, transaction,
                             Event{.type = EventType::factors_voided,
                                   .actor = std::string(actor),
                                   .subject = id,
                                   .outcome = Outcome::success,
                                   .fields = {{"reason", std::string(reason)}, {"keys", std::to_string(voided)}}});
    if (!told) return told;
  }
  return {};
}

Status Restore::void_keys(storage::Transaction& transaction, audit::Log& log) {
  for (const auto& id : doubtful_.keys) {
    auto key = KeyId::parse(id);
    if (!key) return Error{ErrorCode::storage_unavailable, "a row of keys has no id of a key"};
    auto stored = keys_.find(transaction, *key);
    if (!stored) return stored.error();
    if (!*stored) {
      // A blob without its record opens for nobody; nothing of it stays.
      if (auto gone = sealed_keys_.destroy(transaction, *key); !gone) return gone;
      continue;
    }
    if ((*stored)->record.state == custody::KeyState::destroyed) {
      if (auto gone = sealed_keys_.destroy(transaction, *key); !gone) return gone;
      continue;
    }
    if (auto done = void_key_of(transaction, log, std::move(**stored)); !done) return done;
  }
  return {};
}

/// No attempt is gained: as if the last one before the lock had just failed. No document either: those that the log says were authorised
/// since the backup, and for whoever has counters as many as each entry may have been that is lost.
Status Restore::lock_counters(storage::Transaction& transaction, audit::Log& log) {
  const auto now = ground_.clock->now();
  const auto until = now + policy_->policy.lock_time;
  // Each entry that is lost may have been an authorisation of as many documents as a profile allows.
  std::uint64_t most = 0;
  for (const auto& profile : policy_->policy.profiles()) most = std::max<std::uint64_t>(most, profile.max_documents);
  const auto unattributed = remains_.lost() * most;
  for (const auto& id : doubtful_.counters) {
    auto found = counters_.find(transaction, id);
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::conflict, "a signer's counters went meanwhile"};
    auto state = parse_factor_state((*found)->content.reveal());
    if (!state) return state.error();
    state->failures = policy_->policy.failures_before_lock;
    state->wide_failures = policy_->policy.wide_failures_before_lock;
    state->locked_until = state->wide_locked_until = unix_seconds(until);
    const auto told = news_.documents.find(id);
    const auto documents = unattributed + (told == news_.documents.end() ? 0 : told->second);
    if (documents != 0) state->counts.push_back({unix_seconds(now), documents});
    if (auto updated = counters_.update(transaction, id, (*found)->version, encode(*state)); !updated) return updated;
    auto recorded = append_event(log, transaction,
                                 Event{.type = EventType::factors_locked,
                                       .actor = std::string(actor),
                                       .subject = id,
                                       .outcome = Outcome::success,
                                       .fields = {{"reason", std::string(reason)}, {"until", format_utc(until)}}});
    if (!recorded) return recorded;
  }
  // Persons without an account, and whoever was registered after the backup: who comes again the same day has signed that much.
  for (const auto& [id, documents] : news_.documents) {
    if (doubtful_.counters.contains(id)) continue;
    auto found = counters_.find(transaction, id);
    if (!found) return found.error();
    if (*found) continue;
    FactorState state;
    state.counts.push_back({unix_seconds(now), documents});
    if (auto kept = counters_.insert(transaction, id, encode(state)); !kept) return kept;
  }
  return {};
}

/// A key that was made after the backup has no record that could vouch for it: the next start destroys it in the token, as it does with
/// those that a crash left in the making.
Status Restore::end_keys_in_the_making(storage::Transaction& transaction) {
  for (const auto& id : news_.generated_keys) {
    auto key = KeyId::parse(id);
    if (!key) continue;
    auto known = keys_.find_in_snapshot(transaction, *key);
    if (!known) return known.error();
    if (*known) continue;
    auto waits = pending_keys_.find(transaction, id);
    if (!waits) return waits.error();
    if (*waits) continue;
    if (auto named = pending_keys_.insert(transaction, id, as_bytes(ground_.node)); !named) return named;
  }
  return {};
}

/// One that was executed after the backup must not be executed again.
Status Restore::end_proposals(storage::Transaction& transaction) {
  const auto now = ground_.clock->now();
  for (const auto& row : survey_.rows) {
    if (row.table != "proposals") continue;
    auto found = proposals_.find(transaction, row.id);
    if (!found) return found.error();
    if (!*found) continue;
    auto proposal = parse_proposal((*found)->content.reveal());
    if (!proposal) return proposal.error();
    if (proposal->state == ProposalState::executed || proposal->ends <= now) continue;
    proposal->ends = now;
    if (auto updated = proposals_.update(transaction, row.id, (*found)->version, encode(*proposal)); !updated) return updated;
  }
  return {};
}

}  // namespace intaglio::sam
