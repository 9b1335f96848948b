#include "sam/authorise/authorise.h"

#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "json/json.h"
#include "sam/authorise/attempt.h"
#include "sam/authorise/authorisation_record.h"
#include "sam/authorise/kept_approval.h"
#include "sam/authorise/wrapped_keys.h"
#include "sam/authority/identity.h"
#include "sam/authority/voiding.h"
#include "sam/sign/lock_shares.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

}  // namespace

Status check_approved_key(const Core& core, const SapMessage& message, const SignerRecord& signer,
                          const std::optional<custody::StoredKey>& key) {
  const auto& transaction = message.transaction;
  if (!key) return Error{ErrorCode::credential_disabled, "the key is gone"};
  const auto& record = key->record;
  // Before the state, which follows from it: a revoked key is destroyed.
  if (refused_by("sam.authorise.revoked", record.revoked)) return Error{ErrorCode::certificate_invalid, "the certificate is revoked"};
  if (refused_by("sam.authorise.assigned", record.state != custody::KeyState::assigned))
    return Error{ErrorCode::credential_disabled, "the key is not ASSIGNED"};
  if (refused_by("sam.authorise.owner", record.owner.text() != transaction.signer))
    return Error{ErrorCode::authentication_failed, "the key has another owner"};
  if (refused_by("sam.authorise.holder", record.holder != signer.incarnation))
    return Error{ErrorCode::authentication_failed, "the key belongs to an earlier record of this signer"};
  if (refused_by("sam.authorise.profile", record.profile != transaction.profile))
    return Error{ErrorCode::binding_mismatch, "the key has another profile"};
  const auto certificate = crypto::sha256(record.certificates.front());
  if (refused_by("sam.authorise.certificate", to_bytes(ByteView(certificate)) != transaction.certificate_digest)) {
    return Error{ErrorCode::binding_mismatch, "the key has another certificate"};
  }
  auto parsed = crypto::Certificate::parse_der(record.certificates.front());
  if (!parsed) return parsed.error();
  // The record may not know: its row was found by an index that the database keeps in clear.
  if (refused_by("sam.authorise.crl", core.revocations->contains(*parsed)))
    return Error{ErrorCode::certificate_invalid, "a revocation list names the certificate"};
  const auto now = core.clock->now();
  if (core.policy.lists_in_force) {
    if (auto lists = core.revocations->in_force(parsed->issuer_der(), now); refused_by("sam.authorise.lists", !lists)) return lists;
  }
  if (refused_by("sam.authorise.validity", now < parsed->not_before() || now > parsed->not_after())) {
    return Error{ErrorCode::certificate_invalid, "the certificate is not valid now"};
  }
  return {};
}

namespace {

/// A token has a finite place for keys, and each costs all others time: within the transaction that claims the new one.
Status check_key_limits(const Core& core, storage::Reader& reader, const SignerId& owner, const Profile& profile) {
  auto keys = core.keys.of_owner(reader, owner);
  if (!keys) return keys.error();
  const auto day_ago = core.clock->now() - std::chrono::hours(24);
  std::uint32_t alive = 0, recent = 0;
  for (const auto& key : *keys) {
    if (key.record.state != custody::KeyState::destroyed) ++alive;
    if (key.record.created > day_ago) ++recent;
  }
  if (refused_by("sam.limit.keys", profile.keys_per_signer != 0 && alive >= profile.keys_per_signer))
    return Error{ErrorCode::limit_exceeded, "the signer has as many keys as the profile allows"};
  if (refused_by("sam.limit.keys-per-day", profile.keys_per_day != 0 && recent >= profile.keys_per_day))
    return Error{ErrorCode::limit_exceeded, "the signer made as many keys in a day as the profile allows"};
  return {};
}

}  // namespace

Result<protocol::Authorised> authorise(Core& core, std::string_view sap_message) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto message = open_message(core, protocol::Purpose::sign, sap_message);
  if (!message) return message.error();
  const auto refuse = [&](const Error& error) {
    record_refusal(core, *message, error);
    return error;
  };
  // One of them is kept as the evidence of this approval; a combination never has two.
  const int evidences = int{message->passkey.has_value()} + int{message->device.has_value()} + int{message->id_token.has_value()};
  if (refused_by("sam.authorise.one-evidence", evidences > 1))
    return refuse({ErrorCode::invalid_request, "show a passkey, a device or an ID token"});
  auto proven = prove_factors(core, *message);
  if (!proven) return refuse(proven.error());
  const auto* profile = core.policy.profile(message->transaction.profile);
  if (profile == nullptr) {
    give_attempt_back(core, *proven, profile_of(core, message->transaction));
    return refuse({ErrorCode::credential_disabled, "the profile is not in the policy any more"});
  }

  const auto now = core.clock->now();
  Authorisation authorisation{.nonce = message->transaction.nonce,
                              .transaction = message->transaction,
                              .consent = message->consent,
                              .terms = message->terms,
                              .act = message->act,
                              .sad = {},
                              .issued = now,
                              .expires = now + profile->sad_lifetime};
  const auto refuse_proven = [&](const Error& error) {
    give_attempt_back(core, *proven, *profile);
    return refuse(error);
  };
  std::optional<LockShares> shares;
  if (profile->custody == custody::Mode::wrapped) {
    auto split = split_lock_for(core, *proven, message->transaction.key);
    if (!split) return refuse_proven(split.error());
    shares = *std::move(split);
  }
  auto sad = make_sad(core, authorisation, proven->shown().names(), shares ? &shares->carried : nullptr);
  if (!sad) return refuse_proven(sad.error());
  authorisation.sad = crypto::sha256(as_bytes(*sad));

  fault_point("sam.authorise.before-write");
  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    auto key_id = KeyId::parse(message->transaction.key);
    if (!key_id) return key_id.error();
    auto key = core.keys.find(transaction, *key_id);
    if (!key) return key.error();
    if (auto checked = check_approved_key(core, *message, proven->signer(), *key); !checked) return checked;
    if (auto current = core.factors.find_current(transaction, *proven); !current) return current.error();
    // The nonce is consumed with the authorisation: one ticket, one authorisation (TC-4).
    if (auto consumed = core.factors.consume(transaction, "nonce", encode_base64url(authorisation.nonce), message->transaction.expires);
        !consumed)
      return consumed;
    const auto documents = static_cast<std::uint32_t>(authorisation.transaction.documents.size());
    if (auto given = core.factors.give_back(transaction, *proven, documents, *profile); !given) return given;
    if (auto stored = store_authorisation(core, transaction, authorisation, shares ? &shares->kept : nullptr); !stored) return stored;
    auto evidence = keep_approval(core, transaction, *message, *proven);
    if (!evidence) return evidence.error();
    Event event{.type = EventType::authorisation_granted,
                .actor = "signer:" + authorisation.transaction.signer,
                .subject = authorisation.transaction.key,
                .outcome = Outcome::success,
                .fields = {{"authorisation", encode_base64url(authorisation.nonce)},
                           {"list", encode_base64url(protocol::list_digest(authorisation.transaction.documents))},
                           {"count", std::to_string(documents)},
                           {"binding",
                            encode_base64url(protocol::binding_digest(protocol::encode(authorisation.transaction), authorisation.consent))},
                           {"certificate", encode_base64url(authorisation.transaction.certificate_digest)},
                           {"terms", authorisation.terms.id + "/" + authorisation.terms.version + "/" + authorisation.terms.language},
                           {"act", authorisation.act},
                           {"methods", proven->shown().text()},
                           {"client", authorisation.transaction.client_id},
                           {"sad", encode_base64url(crypto::sha256(as_bytes(*sad)))}}};
    if (*evidence) event.fields.emplace_back("evidence", encode_base64url(**evidence));
    auto appended = core.log.append(transaction, event);
    return appended ? Status() : Status(appended.error());
  });
  fault_point("sam.authorise.after-write");
  if (!written) return refuse_proven(written.error());
  return protocol::Authorised{.sad = std::move(*sad), .expires_in = profile->sad_lifetime};
}

Result<protocol::KeyGenerated> generate_key(Core& core, std::string_view sap_message) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto message = open_message(core, protocol::Purpose::key, sap_message);
  if (!message) return message.error();
  const auto refuse = [&](const Error& error) {
    record_refusal(core, *message, error);
    return error;
  };
  auto proven = prove_factors(core, *message);
  if (!proven) return refuse(proven.error());
  const auto& transaction = message->transaction;
  const auto* profile = core.policy.profile(transaction.profile);
  // Until the claim the attempt is charged: whatever else refuses gives it back.
  const auto refuse_uncharged = [&](const Error& error) {
    give_attempt_back(core, *proven, profile_of(core, transaction));
    return refuse(error);
  };
  auto key_id = KeyId::parse(transaction.key);
  if (profile == nullptr || !key_id || transaction.suites.size() != 1)
    return refuse_uncharged({ErrorCode::ticket_invalid, "the ticket is not for a key of a known profile"});
  const auto algorithm = static_cast<crypto::KeyAlgorithm>(transaction.suites.front());
  const auto& owner = proven->signer().id;

  auto recorded = json::parse(proven->signer().identity);
  if (!recorded) return refuse_uncharged(recorded.error());
  auto identity = parse_identity(*recorded);
  if (!identity) return refuse_uncharged(identity.error());
  const auto subject = identity->subject_der();
  if (!subject) return refuse_uncharged(subject.error());

  // The ticket is consumed and the key's name is known to the database before the token makes anything.
  auto claimed = core.database.write([&](storage::Transaction& write) -> Status {
    if (auto current = core.factors.find_current(write, *proven); !current) return current.error();
    if (auto within = check_key_limits(core, write, owner, *profile); !within) return within;
    if (auto consumed = core.factors.consume(write, "nonce", encode_base64url(transaction.nonce), transaction.expires); !consumed)
      return consumed;
    if (auto given = core.factors.give_back(write, *proven, 0, *profile); !given) return given;
    return pending_keys(core).insert(write, key_id->text(), as_bytes(core.node));
  });
  if (!claimed) return refuse_uncharged(claimed.error());

  fault_point("sam.key.claimed");
  auto made = make_key(core, *profile, *proven, *key_id, algorithm, *subject);
  const auto now = core.clock->now();
  const auto spki_digest = made ? encode_base64url(made->public_key.thumbprint()) : std::string();
  auto stored = !made ? Status(made.error()) : core.database.write([&](storage::Transaction& write) -> Status {
    const custody::KeyRecord record{.id = *key_id,
                                    .owner = owner,
                                    .holder = proven->signer().incarnation,
                                    .state = custody::KeyState::generated,
                                    .algorithm = algorithm,
                                    .spki = made->public_key.spki(),
                                    .profile = profile->name,
                                    .created = now,
                                    .certificates = {},
                                    .revoked = false,
                                    .suspended_because = {}};
    // Once more: making a key takes long, and what locks it must be the PIN that opens it.
    if (auto current = core.factors.find_current(write, *proven); !current) return current.error();
    if (auto inserted = core.keys.insert(write, record); !inserted) return inserted;
    if (made->sealed) {
      if (auto kept = core.sealed_keys.insert(write, *key_id, *made->sealed); !kept) return kept;
    }
    auto removed = write.execute("DELETE FROM pending_keys WHERE id = ?1", {std::string_view(key_id->text())});
    if (!removed) return removed.error();
    auto generated = core.log.append(write, Event{.type = EventType::key_generated,
                                                  .actor = "signer:" + owner.text(),
                                                  .subject = key_id->text(),
                                                  .outcome = Outcome::success,
                                                  .fields = {{"algorithm", std::string(name_of(algorithm))},
                                                             {"spki", spki_digest},
                                                             {"profile", profile->name},
                                                             {"authorisation", encode_base64url(transaction.nonce)}}});
    if (!generated) return generated.error();
    auto possession = core.log.append(write, Event{.type = EventType::proof_of_possession_signed,
                                                   .actor = "signer:" + owner.text(),
                                                   .subject = key_id->text(),
                                                   .outcome = Outcome::success,
                                                   .fields = {{"csr", encode_base64url(crypto::sha256(made->csr))}}});
    return possession ? Status() : Status(possession.error());
  });
  if (!stored) {
    // No record, no key: the object goes at once, or at the next start by its pending row.
    auto destroyed = core.vault.destroy(*key_id);
    return refuse(destroyed ? stored.error() : destroyed.error());
  }

  const json::Value assertion = {{"signer", owner.text()},
                                 {"key", key_id->text()},
                                 {"spki_sha256", spki_digest},
                                 {"identity_sha256", encode_base64url(crypto::sha256(as_bytes(proven->signer().identity)))},
                                 {"iat", unix_seconds(now)}};
  auto kid = crypto::jwk_thumbprint(core.identity_key->public_key());
  if (!kid) return kid.error();
  auto signed_assertion = crypto::make_jws(*core.identity_key, "intaglio-key+jwt", *kid, json::encode(assertion));
  if (!signed_assertion) return signed_assertion.error();
  return protocol::KeyGenerated{.key = std::move(*key_id), .csr = std::move(made->csr), .key_assertion = std::move(*signed_assertion)};
}

Status destroy_pending_keys(Core& core) {
  // Only a sealed row of this SAM names a key to destroy, and never one that has a record.
  auto pending = own_pending_keys(core);
  if (!pending) return pending.error();
  for (const auto& [key, record] : *pending) {
    if (record) continue;
    if (auto destroyed = destroy_pending_key(core, key, "generation was interrupted"); !destroyed) return destroyed;
  }
  return {};
}

}  // namespace intaglio::sam
