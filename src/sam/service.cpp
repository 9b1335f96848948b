#include "sam/service.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"
#include "crypto/password_hash.h"
#include "json/json.h"
#include "sam/authorise/authorise.h"
#include "sam/authorise/device_request.h"
#include "sam/authority/registration.h"
#include "sam/authority/revoked_keys.h"
#include "sam/authority/voiding.h"
#include "sam/grants/grants.h"
#include "sam/grants/seal.h"
#include "sam/sign/extension.h"
#include "sam/sign/lock_shares.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

/// How long what ended is kept: a redelivery may be asked for, and an investigation begins with what is at hand.
constexpr std::chrono::hours kept_after_end{24};

protocol::KeyState wire_state(custody::KeyState state) {
  switch (state) {
    case custody::KeyState::generated: return protocol::KeyState::generated;
    case custody::KeyState::assigned: return protocol::KeyState::assigned;
    case custody::KeyState::suspended: return protocol::KeyState::suspended;
    case custody::KeyState::destroyed: return protocol::KeyState::destroyed;
    case custody::KeyState::inactive: return protocol::KeyState::inactive;
  }
  panic("a key state outside its enumeration");
}

Result<json::Value> jwk_of(const crypto::PublicKey& key) {
  auto text = crypto::encode_jwk(key);
  if (!text) return text.error();
  return json::parse(*text);
}

}  // namespace

Status Sam::start() {
  if (auto loaded = core_.revocations->load(core_.database, core_.sealer, core_.policy); !loaded) return loaded;
  if (auto burned = signing_.burn_open_reservations(); !burned) return burned;
  if (auto destroyed = destroy_pending_keys(core_); !destroyed) return destroyed;
  // As with keys that were voided: they sign nothing any more.
  if (auto ended = end_left_keys(core_, [](const KeyId&) { return false; }); !ended) log::refusal("start.one_time_keys", ended.error());
  // A token that does not destroy now must not keep the SAM from serving: the key signs nothing, and the next round tries again.
  if (auto destroyed = destroy_voided_keys(core_); !destroyed) log::refusal("start.voided_keys", destroyed.error());
  if (auto ended = end_inactive_keys(core_); !ended) log::refusal("start.inactive_keys", ended.error());
  if (auto forgotten = forget_ended_shares(core_); !forgotten) return forgotten;
  if (auto refreshed = core_.sap_keys.refresh(); !refreshed) return refreshed;
  const bool synchronised = static_cast<bool>(core_.clock->synchronised());
  auto started = core_.log.record(Event{.type = EventType::process_started,
                                        .actor = "sam:" + core_.node,
                                        .subject = core_.incarnation,
                                        .outcome = Outcome::success,
                                        .fields = {{"configuration", surroundings_.configuration_digest},
                                                   {"policy", core_.policy.id()},
                                                   {"clock", core_.clock->source() == ClockSource::kernel ? "kernel" : "declared"},
                                                   {"synchronised", synchronised ? "yes" : "no"},
                                                   {"flavour", testing_build ? "testing" : "release"}}});
  return started ? Status() : Status(started.error());
}

void Sam::stop() {
  auto stopped = core_.log.record(Event{.type = EventType::process_stopped,
                                        .actor = "sam:" + core_.node,
                                        .subject = core_.incarnation,
                                        .outcome = Outcome::success,
                                        .fields = {}});
  if (!stopped) log::refusal("stop.not_recorded", stopped.error());
  if (auto checkpoint = core_.log.checkpoint_now(); !checkpoint) log::refusal("stop.no_checkpoint", checkpoint.error());
}

void Sam::read_revocations() {
  if (auto loaded = core_.revocations->load(core_.database, core_.sealer, core_.policy); !loaded)
    log::refusal("maintain.revocations", loaded.error());
}

void Sam::catch_up() {
  if (core_.revocations->due()) read_revocations();
}

void Sam::maintain() {
  read_revocations();
  if (auto refreshed = core_.sap_keys.refresh(); !refreshed) log::refusal("maintain.sap_keys", refreshed.error());
  if (auto ended = end_inactive_keys(core_); !ended) log::refusal("maintain.inactive_keys", ended.error());
  if (auto destroyed = destroy_voided_keys(core_); !destroyed) log::refusal("maintain.voided_keys", destroyed.error());
  if (auto ended = end_left_keys(core_, [this](const KeyId& key) { return live_keys_.contains(key); }); !ended)
    log::refusal("maintain.one_time_keys", ended.error());
  if (auto forgotten = forget_ended_shares(core_); !forgotten) log::refusal("maintain.lock_shares", forgotten.error());
  forget_what_ended();
  reconcile_token_calls();
}

void Sam::forget_what_ended() {
  const auto before = unix_seconds(core_.clock->now() - kept_after_end);
  auto forgotten = core_.database.write([&](storage::Transaction& transaction) -> Status {
    // Occurrences of voided authorisations go too; what a reservation still holds open stays until it is burned.
    for (const std::string_view sql :
         {std::string_view("DELETE FROM used WHERE ends < ?1"),
          std::string_view("DELETE FROM authorisations WHERE ends < ?1 AND id NOT IN (SELECT authorisation FROM open_reservations)"),
          std::string_view("DELETE FROM occurrences WHERE ?1 > 0 AND authorisation NOT IN (SELECT id FROM authorisations) "
                           "AND authorisation NOT IN (SELECT authorisation FROM open_reservations)")}) {
      auto done = transaction.execute(sql, {before});
      if (!done) return done.error();
    }
    return {};
  });
  if (!forgotten) log::refusal("maintain.forget", forgotten.error());
}

void Sam::reconcile_token_calls() {
  const auto token_signatures = surroundings_.token_signer_signatures();
  const auto audited = signing_.audited_signatures();
  // What the token had signed at the last check has its audit entry by now; more means that someone else signed (001, 3.3.3).
  if (token_signatures_at_last_check_ > audited + alarmed_signatures_) {
    alarmed_signatures_ = token_signatures_at_last_check_ - audited;
    log::error("token.signatures_behind_our_back",
               {{"token", std::to_string(token_signatures_at_last_check_)}, {"audited", std::to_string(audited)}});
    auto alarm = core_.log.record(Event{.type = EventType::token_alarm,
                                        .actor = "sam:" + core_.node,
                                        .subject = "signer keys",
                                        .outcome = Outcome::failed,
                                        .fields = {{"token_signatures", std::to_string(token_signatures_at_last_check_)},
                                                   {"audited_signatures", std::to_string(audited)}}});
    if (!alarm) log::refusal("maintain.alarm", alarm.error());
  }
  if (token_signatures != token_signatures_at_last_check_) {
    auto counted = core_.log.record(
        Event{.type = EventType::token_calls,
              .actor = "sam:" + core_.node,
              .subject = core_.incarnation,
              .outcome = Outcome::success,
              .fields = {{"signer_signatures", std::to_string(token_signatures)}, {"calls", surroundings_.token_facts()}}});
    if (!counted) log::refusal("maintain.counts", counted.error());
  }
  token_signatures_at_last_check_ = token_signatures;
}

Result<protocol::Opened> Sam::open_signing(const protocol::OpenSigning& request) { return sam::open_signing(core_, request); }
Result<protocol::Opened> Sam::open_enrolment(const protocol::OpenEnrolment& request) { return sam::open_enrolment(core_, request); }
Result<protocol::Opened> Sam::open_key_generation(const protocol::OpenKeyGeneration& request) {
  return sam::open_key_generation(core_, request);
}
Result<protocol::Opened> Sam::open_factor_change(const protocol::OpenEnrolment& request) { return sam::open_factor_change(core_, request); }
Result<protocol::Opened> Sam::open_key_change(const protocol::OpenKeyChange& request) { return sam::open_key_change(core_, request); }
Result<protocol::Opened> Sam::open_grant(const protocol::OpenGrant& request) { return sam::open_grant(core_, request); }
Status Sam::end_grant(std::string_view grant, std::string_view reason) { return sam::end_grant(core_, grant, reason); }
Result<SignerId> Sam::recognise_device(std::string_view request) { return sam::recognise_device(core_, request); }
Result<protocol::Authorised> Sam::authorise(std::string_view sap_message) {
  return is_grant_message(sap_message) ? make_grant(core_, sap_message) : sam::authorise(core_, sap_message);
}
Result<protocol::Enrolled> Sam::enrol_factors(std::string_view sap_message) { return sam::enrol_factors(core_, sap_message); }
Result<protocol::KeyGenerated> Sam::generate_key(std::string_view sap_message) {
  auto generated = sam::generate_key(core_, sap_message);
  if (generated) signing_.count_audited_signature();
  return generated;
}
Result<protocol::Enrolled> Sam::change_factors(std::string_view sap_message) { return sam::change_factors(core_, sap_message); }
Status Sam::change_key(std::string_view sap_message) { return sam::change_key(core_, sap_message); }
Result<protocol::Opened> Sam::open_one_time(const protocol::OpenOneTime& request) { return sam::open_one_time(core_, request); }
Result<std::unique_ptr<protocol::OneTimeSession>> Sam::begin_one_time() {
  return std::unique_ptr<protocol::OneTimeSession>(std::make_unique<OneTimeSession>(core_, signing_, live_keys_));
}
Result<protocol::LogEntry> Sam::report_orphan(const KeyId& key, ByteView certificate) {
  auto entry = sam::report_orphan(core_, key, certificate);
  if (!entry) return entry.error();
  return protocol::LogEntry{std::move(entry->log), entry->index, entry->leaf};
}
Result<protocol::SignAnswer> Sam::sign(const protocol::SignRequest& request) {
  if (is_seal_request(request.sad)) {
    if (auto accepted = accept_seal(core_, request); !accepted) return accepted.error();
  }
  return signing_.sign(request);
}
Result<protocol::Authorised> Sam::extend(const protocol::ExtendRequest& request) { return sam::extend(core_, request); }
Result<protocol::SignerCreated> Sam::create_signer(std::string_view operator_request) {
  return sam::create_signer(core_, operator_request);
}
Result<protocol::SignerCreated> Sam::reset_factors(std::string_view operator_request) {
  return sam::reset_factors(core_, operator_request);
}
Result<protocol::CredentialFacts> Sam::bind_certificate(const protocol::CertificateBinding& binding) {
  auto record = sam::bind_certificate(core_, binding);
  if (!record) return record.error();
  return facts_of(*record);
}
Status Sam::suspend_key(const KeyId& key, std::string_view reason) { return sam::suspend_key(core_, key, reason); }
Status Sam::suspend_by_operator(std::string_view operator_request) { return sam::suspend_by_operator(core_, operator_request); }
Status Sam::resume_key(std::string_view operator_request) { return sam::resume_key(core_, operator_request); }
Status Sam::put_revocation_data(ByteView crl) { return sam::put_revocation_data(core_, crl); }

protocol::CredentialFacts Sam::facts_of(const custody::KeyRecord& record) const {
  const auto* profile = core_.policy.profile(record.profile);
  return {.key = record.id,
          .signer = record.owner,
          .state = wire_state(record.state),
          .algorithm = record.algorithm,
          .suites = core_.policy.algorithms().suites_for(record.algorithm, core_.clock->now()),
          .certificates = record.certificates,
          .certificate_revoked = record.revoked,
          .profile = record.profile,
          .max_documents = profile == nullptr ? 1 : profile->max_documents};
}

Result<std::vector<protocol::CredentialFacts>> Sam::list_credentials(const SignerId& signer) {
  std::vector<protocol::CredentialFacts> facts;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto keys = core_.keys.of_owner(reader, signer);
    if (!keys) return keys.error();
    for (const auto& key : *keys) facts.push_back(facts_of(key.record));
    return {};
  });
  if (!read) return read.error();
  return facts;
}

Result<protocol::CredentialFacts> Sam::credential(const KeyId& key) {
  std::optional<protocol::CredentialFacts> facts;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto found = core_.keys.find_in_snapshot(reader, key);
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::credential_unknown, "no such key"};
    facts = facts_of((*found)->record);
    return {};
  });
  if (!read) return read.error();
  return std::move(*facts);
}

Result<std::string> Sam::receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) {
  auto receipt = core_.log.receipt(index);
  if (!receipt) return receipt;
  if (auto theirs = audit::check_receipt_holder(*receipt, leaf); !theirs) return theirs.error();
  return receipt;
}

Result<std::string> Sam::status() {
  const auto synchronised = core_.clock->synchronised();
  const auto healthy = core_.log.healthy();
  const auto current = core_.revocations->current();
  auto token = json::parse(surroundings_.token_facts(), {.max_bytes = 256 * 1024});
  if (!token) return token.error();
  const auto answers = [](const json::Value& facts) {
    const auto hanging = json::integer_member(facts, "hanging_calls");
    return !hanging || *hanging == 0;
  };
  const auto* const key_token = json::member(*token, "key_token");
  const bool token_answers = answers(*token) && (key_token == nullptr || answers(*key_token));
  auto custody = json::Value::array();
  for (const auto& profile : core_.policy.profiles()) {
    const bool wrapped = profile.custody == custody::Mode::wrapped && core_.locked_vault != nullptr;
    custody.push_back({{"profile", profile.name},
                       {"mode", std::string(name_of(profile.custody))},
                       {"key_authorisation", wrapped ? core_.locked_vault->key_authorisation() : core_.vault.key_authorisation()},
                       {"qualified", profile.qualified}});
  }
  const json::Value status = {
      {"state", synchronised && healthy && current && token_answers ? "serving" : "refusing"},
      {"sam", core_.name},
      {"node", core_.node},
      {"policy", core_.policy.id()},
      {"demo", core_.policy.demo()},
      {"flavour", testing_build ? "testing" : "release"},
      {"epoch", core_.epoch()},
      {"restored", core_.restored.epochs == 0 ? json::Value() : json::Value(format_utc(core_.restored.at))},
      {"clock",
       {{"source", core_.clock->source() == ClockSource::kernel ? "kernel" : "declared"},
        {"synchronised", static_cast<bool>(synchronised)}}},
      {"audit", {{"log", surroundings_.log_origin}, {"size", core_.log.size()}, {"healthy", static_cast<bool>(healthy)}}},
      {"revocation_lists", {{"current", static_cast<bool>(current)}}},
      {"custody", custody},
      {"secrets_locked", secret_pool_state() == PoolState::locked},
      {"argon2_evaluations", crypto::argon2_evaluations()},
      {"signer_signatures", surroundings_.token_signer_signatures()},
      {"audited_signatures", signing_.audited_signatures()},
      {"token", *token}};
  return json::encode(status);
}

Result<std::string> Sam::public_keys() {
  auto identity = jwk_of(core_.identity_key->public_key());
  auto sad = jwk_of(core_.sad_key->public_key());
  auto checkpoint = jwk_of(surroundings_.checkpoint_key->public_key());
  for (const auto* key : {&identity, &sad, &checkpoint}) {
    if (!*key) return key->error();
  }
  return json::encode(
      {{"sam", core_.name}, {"identity", *identity}, {"sad", *sad}, {"checkpoint", *checkpoint}, {"log", surroundings_.log_origin}});
}

}  // namespace intaglio::sam
