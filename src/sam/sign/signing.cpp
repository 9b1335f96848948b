#include "sam/sign/signing.h"

#include <chrono>
#include <set>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "crypto/certificate.h"
#include "sam/sign/occurrences.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

constexpr std::size_t max_certified = 65536;
/// How long a request waits for a log that refuses to take its outcome: longer than the log's own pause between two attempts (audit/log.cpp).
constexpr std::chrono::milliseconds outcome_pause{100};
constexpr unsigned outcome_attempts = 50;

Status close_reservation(storage::Transaction& transaction, const std::string& authorisation, std::size_t position) {
  auto removed = transaction.execute("DELETE FROM open_reservations WHERE authorisation = ?1 AND position = ?2",
                                     {std::string_view(authorisation), static_cast<std::int64_t>(position)});
  return removed ? Status() : Status(removed.error());
}

Event event_of(EventType type, Outcome outcome, const VerifiedRequest& verified, std::size_t position) {
  const auto& loaded = *verified.loaded;
  const auto& transaction = loaded.authorisation.transaction;
  return Event{.type = type,
               .actor = "signer:" + transaction.signer,
               .subject = transaction.key,
               .outcome = outcome,
               .fields = {{"authorisation", loaded.id},
                          {"position", std::to_string(position)},
                          {"suite", std::string(name_of(verified.suite))},
                          {"digest", encode_base64url(transaction.documents.at(position).digest)},
                          {"certificate", encode_base64url(transaction.certificate_digest)}}};
}

}  // namespace

Result<custody::KeyRecord> Signing::check_key(storage::Transaction& transaction, const VerifiedRequest& verified,
                                              std::optional<crypto::PublicKey>& certified) {
  const auto& authorised = verified.loaded->authorisation.transaction;
  auto key = core_.keys.find(transaction, verified.loaded->key);
  if (!key) return key.error();
  if (!*key) return Error{ErrorCode::credential_disabled, "the key is gone"};
  const auto& record = (*key)->record;
  // Before the state, which follows from it: a revoked key is destroyed.
  if (refused_by("sam.sign.revoked", record.revoked)) return Error{ErrorCode::certificate_invalid, "the certificate is revoked"};
  if (refused_by("sam.sign.assigned", record.state != custody::KeyState::assigned))
    return Error{ErrorCode::credential_disabled, "the key is not ASSIGNED"};
  if (refused_by("sam.sign.owner", record.owner.text() != authorised.signer))
    return Error{ErrorCode::sad_invalid, "the key has another owner"};
  if (record.certificates.empty()) return Error{ErrorCode::credential_disabled, "the key has no certificate"};
  const auto digest = crypto::sha256(record.certificates.front());
  if (refused_by("sam.sign.certificate", to_bytes(ByteView(digest)) != authorised.certificate_digest)) {
    return Error{ErrorCode::sad_invalid, "the key has another certificate than the signer saw"};
  }
  const auto now = core_.clock->now();
  if (auto policy = core_.policy.algorithms().may_sign(record.algorithm, verified.suite, now);
      refused_by("sam.sign.algorithm-policy", !policy))
    return policy.error();
  auto public_key = certified_key(record.certificates.front(), digest);
  if (!public_key) return public_key.error();
  certified = std::move(*public_key);
  return std::move((*key)->record);
}

Result<crypto::PublicKey> Signing::certified_key(const Bytes& certificate, const crypto::Sha256Digest& digest) {
  const auto now = core_.clock->now();
  const auto in_force = [&](const Certified& found) -> Result<crypto::PublicKey> {
    if (refused_by("sam.sign.validity", now < found.not_before || now > found.not_after))
      return Error{ErrorCode::certificate_invalid, "the certificate is not valid now"};
    if (refused_by("sam.sign.crl", core_.revocations->contains(found.issuer_der, found.serial_hex)))
      return Error{ErrorCode::certificate_invalid, "a revocation list names the certificate"};
    if (core_.policy.lists_in_force) {
      if (auto lists = core_.revocations->in_force(found.issuer_der, now); refused_by("sam.sign.lists", !lists)) return lists.error();
    }
    return found.key;
  };
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = certified_.find(digest); found != certified_.end()) return in_force(found->second);
  }
  auto parsed = crypto::Certificate::parse_der(certificate);
  if (!parsed) return parsed.error();
  auto key = parsed->public_key();
  if (!key) return key.error();
  const Certified made{.key = std::move(*key),
                       .not_before = parsed->not_before(),
                       .not_after = parsed->not_after(),
                       .issuer_der = parsed->issuer_der(),
                       .serial_hex = parsed->serial_hex()};
  const std::lock_guard lock(mutex_);
  if (certified_.size() >= max_certified) certified_.clear();
  certified_.insert_or_assign(digest, made);
  return in_force(made);
}

Status Signing::claim_one(storage::Transaction& transaction, const VerifiedRequest& verified, const std::vector<std::size_t>& candidates,
                          std::vector<Claim>& claims) {
  const auto& id = verified.loaded->id;
  std::optional<Claim> redelivery;
  for (const auto position : candidates) {
    const bool taken = std::any_of(claims.begin(), claims.end(), [&](const Claim& claim) { return claim.position == position; });
    if (taken) continue;
    auto found = find_occurrence(core_, transaction, id, position);
    if (!found) return found.error();
    const bool free = found->occurrence.state == OccurrenceState::authorised;
    if (!refused_by("sam.sign.occurrence-free", !free)) {
      const Occurrence reserved{.state = OccurrenceState::reserved,
                                .owner = core_.incarnation,
                                .suite = static_cast<std::uint64_t>(verified.suite),
                                .signature = {},
                                .audit_index = 0};
      if (auto updated = update_occurrence(core_, transaction, id, position, found->version, reserved); !updated) return updated;
      auto opened = transaction.execute("INSERT INTO open_reservations (authorisation, position, node) VALUES (?1, ?2, ?3)",
                                        {std::string_view(id), static_cast<std::int64_t>(position), std::string_view(core_.node)});
      if (!opened && !(free == false && opened.error().code == ErrorCode::conflict)) return opened.error();
      auto intent = core_.log.append(transaction, event_of(EventType::signature_intent, Outcome::success, verified, position));
      if (!intent) return intent.error();
      claims.push_back({.position = position, .version = found->version + 1, .earlier_signature = std::nullopt, .entry = *intent});
      return {};
    }
    const bool same =
        found->occurrence.state == OccurrenceState::consumed && found->occurrence.suite == static_cast<std::uint64_t>(verified.suite);
    if (same && !redelivery) {
      redelivery =
          Claim{.position = position, .version = found->version, .earlier_signature = std::move(found->occurrence.signature), .entry = {}};
    }
  }
  if (!redelivery) return Error{ErrorCode::hash_not_authorised, "no free occurrence of a digest is left"};
  // An answer may have been lost on its way: the same authorisation, digest and suite give the same signature again (TC-5).
  auto entry = core_.log.append(transaction, event_of(EventType::signature_redelivered, Outcome::success, verified, redelivery->position));
  if (!entry) return entry.error();
  redelivery->entry = *entry;
  claims.push_back(std::move(*redelivery));
  return {};
}

Status Signing::reserve(storage::Transaction& transaction, const VerifiedRequest& verified, const protocol::SignRequest& request,
                        Reservation& reservation) {
  reservation = {};
  // Since it was cached the row may have been voided by a newer authorisation, or got another SAD.
  auto live =
      transaction.query_one<std::int64_t>("SELECT version FROM authorisations WHERE id = ?1", {std::string_view(verified.loaded->id)},
                                          [](const storage::Row& row) { return row.integer(0); });
  if (!live) return live.error();
  if (refused_by("sam.sign.live", !*live)) return Error{ErrorCode::sad_invalid, "the authorisation was voided by a newer one"};
  if (refused_by("sam.sign.extended", *live && static_cast<std::uint64_t>(**live) != verified.loaded->version))
    return Error{ErrorCode::sad_invalid, "another SAD of this authorisation follows this one"};
  auto key = check_key(transaction, verified, reservation.certified);
  if (!key) return key.error();
  auto& claims = reservation.claims;
  for (std::size_t i = 0; i < request.digests.size(); ++i) {
    if (auto claimed = claim_one(transaction, verified, verified.candidates[i], claims); !claimed) return claimed;
  }
  const auto* profile = core_.policy.profile(key->profile);
  reservation.vault = &core_.vault;
  if (profile != nullptr && profile->custody == custody::Mode::one_time) {
    if (core_.one_time_vault == nullptr) return Error{ErrorCode::unsupported, "no token of this SAM serves one-time custody"};
    reservation.vault = core_.one_time_vault;
  }
  if (profile == nullptr || profile->custody != custody::Mode::wrapped) return {};
  const auto fresh = std::count_if(claims.begin(), claims.end(), [](const Claim& claim) { return !claim.earlier_signature; });
  if (fresh == 0) return {};
  auto opening = reserve_opening(core_, transaction, verified.loaded->id, *key, static_cast<std::size_t>(fresh));
  if (!opening) return opening.error();
  reservation.opening = *std::move(opening);
  return {};
}

std::vector<custody::VaultOutcome> Signing::sign_claims(const VerifiedRequest& verified, const protocol::SignRequest& request,
                                                        const Reservation& reservation) {
  std::vector<custody::VaultOutcome> outcomes;
  std::unique_ptr<custody::ActivationSigner> opened;
  std::optional<Error> closed;
  if (reservation.opening) {
    auto key = open_key(core_, *reservation.opening, request.sad, *reservation.certified);
    if (key) {
      opened = *std::move(key);
    } else {
      closed = key.error();
    }
    fault_point("sam.wrapped.opened");
  }
  custody::ActivationSigner& signer = opened ? *opened : *reservation.vault;
  for (const auto& claim : reservation.claims) {
    if (claim.earlier_signature) {
      outcomes.push_back({.signature = claim.earlier_signature, .refusal = std::nullopt});
      continue;
    }
    if (closed) {
      outcomes.push_back({.signature = std::nullopt, .refusal = custody::VaultRefusal{*closed, /*definite=*/true}});
    } else {
      outcomes.push_back(signer.sign(Verifier::activate(verified, claim.position), *reservation.certified));
      fault_point("sam.sign.token");
    }
    if (outcomes.back().refusal) break;
  }
  return outcomes;
}

Result<protocol::SignAnswer> Signing::sign(const protocol::SignRequest& request) {
  if (auto ready = core_.ready(); !ready) return ready.error();
  const auto refuse = [&](const Error& error) {
    auto recorded = core_.log.record(Event{.type = EventType::signature_refused,
                                           .actor = "ssa",
                                           .subject = request.key.text(),
                                           .outcome = Outcome::refused,
                                           .fields = {{"reason", std::string(name_of(error.code))},
                                                      {"sad", encode_base64url(crypto::sha256(as_bytes(request.sad)))},
                                                      {"client", request.client_id}}});
    return recorded ? error : recorded.error();
  };
  auto verified = verifier_.verify(request);
  if (!verified) return refuse(verified.error());

  fault_point("sam.sign.before-reserve");
  Reservation reservation{};
  auto reserved =
      core_.database.write([&](storage::Transaction& transaction) { return reserve(transaction, *verified, request, reservation); });
  if (!reserved) return refuse(reserved.error());
  fault_point("sam.sign.reserved");

  // From here each claim ends in exactly one durable outcome; the first doubt stops the batch (TC-4).
  const auto& claims = reservation.claims;
  const auto outcomes = sign_claims(*verified, request, reservation);
  std::optional<ErrorCode> stopped;
  if (const auto& last = outcomes.back(); last.refusal) {
    stopped = last.refusal->error.code;
    log::refusal("signature.stopped", last.refusal->error, {{"key", request.key.text()}});
  }

  protocol::SignAnswer answer;
  const auto record_outcomes = [&](storage::Transaction& transaction) -> Status {
    answer = {};
    answer.stopped = stopped;
    std::uint64_t given_back = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      const auto& claim = claims[i];
      const auto entry_of = [&](const audit::EntryReference& entry, Bytes signature, bool redelivered) {
        answer.signatures.push_back(
            {.signature = std::move(signature), .log = entry.log, .index = entry.index, .leaf = entry.leaf, .redelivered = redelivered});
      };
      if (claim.earlier_signature) {
        if (i < outcomes.size()) entry_of(claim.entry, *claim.earlier_signature, true);
        continue;
      }
      const bool signed_now = i < outcomes.size() && outcomes[i].signature.has_value();
      const bool doubtful = i < outcomes.size() && outcomes[i].refusal && !outcomes[i].refusal->definite;
      auto type = signed_now ? EventType::signature_made : doubtful ? EventType::signature_burned : EventType::signature_refused;
      auto event = event_of(type, signed_now ? Outcome::success : Outcome::failed, *verified, claim.position);
      event.fields.emplace_back("intent", std::to_string(claim.entry.index));
      event.fields.emplace_back("client", request.client_id);
      event.fields.emplace_back("client_address_told_by_ssa", request.client_address);
      auto entry = core_.log.append(transaction, event);
      if (!entry) return entry.error();
      const Occurrence occurrence{.state = signed_now ? OccurrenceState::consumed
                                           : doubtful ? OccurrenceState::burned
                                                      : OccurrenceState::authorised,
                                  .owner = signed_now || doubtful ? core_.incarnation : std::string(),
                                  .suite = signed_now || doubtful ? static_cast<std::uint64_t>(verified->suite) : 0,
                                  .signature = signed_now ? *outcomes[i].signature : Bytes(),
                                  .audit_index = entry->index};
      if (auto updated = update_occurrence(core_, transaction, verified->loaded->id, claim.position, claim.version, occurrence); !updated)
        return updated;
      if (auto closed = close_reservation(transaction, verified->loaded->id, claim.position); !closed) return closed;
      if (signed_now) entry_of(*entry, *outcomes[i].signature, false);
      if (!signed_now && !doubtful) ++given_back;
    }
    if (!reservation.opening || given_back == 0) return {};
    return give_share_back(core_, transaction, verified->loaded->id, reservation.opening->share, given_back);
  };
  auto recorded = core_.database.write(record_outcomes);
  // What disturbed the token may disturb the signature of a checkpoint too. A log that is soon well again gets its outcome now, not at the next start.
  // A turn that did not come is waited for once more: whoever hangs within it is cut off meanwhile (docs/architecture/nodes.md).
  const auto worth_another = [&](unsigned attempt) {
    const auto code = recorded ? ErrorCode::internal : recorded.error().code;
    return (code == ErrorCode::audit_unavailable && attempt < outcome_attempts) || (code == ErrorCode::busy && attempt == 0);
  };
  for (unsigned attempt = 0; worth_another(attempt); ++attempt) {
    std::this_thread::sleep_for(outcome_pause);
    auto again = core_.database.write(record_outcomes);
    // The outcome stands since the attempt before, which could not be released: the signer gets it redelivered, not released now.
    if (!again && again.error().code == ErrorCode::conflict) break;
    recorded = std::move(again);
  }
  fault_point("sam.sign.recorded");
  if (recorded) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const bool used = !claims[i].earlier_signature && (outcomes[i].signature || !outcomes[i].refusal->definite);
      if (used) count_audited_signature();
    }
  }
  if (!recorded) {
    // Signed but not recorded: the reservation stays, is burned at the next start, and nothing is released.
    log::refusal("signature.not_recorded", recorded.error(), {{"key", request.key.text()}});
    // `busy` would say that nothing was done.
    if (recorded.error().code == ErrorCode::busy) return Error{ErrorCode::storage_unavailable, recorded.error().detail};
    return recorded.error();
  }
  return answer;
}

Status Signing::burn_open_reservations() {
  struct Open {
    std::string authorisation;
    std::size_t position;
  };
  std::vector<Open> open;
  auto loaded = core_.database.read([&](storage::Reader& reader) {
    return reader.query("SELECT authorisation, position FROM open_reservations WHERE node = ?1", {std::string_view(core_.node)},
                        [&](const storage::Row& row) {
                          open.push_back({row.text(0), static_cast<std::size_t>(row.integer(1))});
                          return true;
                        });
  });
  if (!loaded) return loaded;
  for (const auto& reservation : open) {
    auto burned = core_.database.write([&](storage::Transaction& transaction) -> Status {
      auto found = find_occurrence(core_, transaction, reservation.authorisation, reservation.position);
      if (!found && found.error().code != ErrorCode::not_found) return found.error();
      if (!found) {
        // Its row is gone: nothing can be signed for it any more, and that is what is recorded.
        auto entry = core_.log.append(transaction, Event{.type = EventType::reservation_burned,
                                                         .actor = "sam:" + core_.node,
                                                         .subject = reservation.authorisation,
                                                         .outcome = Outcome::failed,
                                                         .fields = {{"authorisation", reservation.authorisation},
                                                                    {"position", std::to_string(reservation.position)},
                                                                    {"owner", "unknown"}}});
        if (!entry) return entry.error();
      } else if (found->occurrence.state == OccurrenceState::reserved) {
        auto occurrence = found->occurrence;
        occurrence.state = OccurrenceState::burned;
        auto entry = core_.log.append(transaction, Event{.type = EventType::reservation_burned,
                                                         .actor = "sam:" + core_.node,
                                                         .subject = reservation.authorisation,
                                                         .outcome = Outcome::failed,
                                                         .fields = {{"authorisation", reservation.authorisation},
                                                                    {"position", std::to_string(reservation.position)},
                                                                    {"owner", occurrence.owner}}});
        if (!entry) return entry.error();
        occurrence.audit_index = entry->index;
        if (auto updated =
                update_occurrence(core_, transaction, reservation.authorisation, reservation.position, found->version, occurrence);
            !updated)
          return updated;
      }
      return close_reservation(transaction, reservation.authorisation, reservation.position);
    });
    if (!burned) return burned;
    log::warn("reservation.burned", {{"authorisation", reservation.authorisation}, {"position", std::to_string(reservation.position)}});
  }
  return {};
}

}  // namespace intaglio::sam
