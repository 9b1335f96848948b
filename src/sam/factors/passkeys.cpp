#include "sam/factors/passkeys.h"

#include <algorithm>

#include "base/check.h"
#include "base/panic.h"
#include "crypto/signer.h"
#include "evidence/approval.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

constexpr std::size_t flags_at = 32;
constexpr std::uint8_t backup_eligible_flag = 0x08;

Result<evidence::webauthn::Credential> credential_of(const Passkey& passkey) {
  auto key = crypto::PublicKey::parse_spki(passkey.spki);
  auto suite = crypto::suite_from_number(passkey.suite);
  if (!key || !suite) return Error{ErrorCode::storage_unavailable, "a record is malformed: the key of a passkey"};
  return evidence::webauthn::Credential{.id = passkey.id,
                                        .key = std::move(*key),
                                        .suite = *suite,
                                        .model = passkey.model,
                                        .counter = static_cast<std::uint32_t>(passkey.counter),
                                        .backup_eligible = passkey.backup_eligible};
}

/// A credential that fits whatever is shown, so that a foreign one costs the signature's verification as the signer's own does.
evidence::webauthn::Credential stand_in_for(const evidence::webauthn::AssertionResponse& shown, const crypto::PublicKey& key) {
  const auto& data = shown.authenticator_data;
  return {.id = shown.credential_id,
          .key = key,
          .suite = crypto::SignatureSuite::ecdsa_sha256,
          .model = {},
          .counter = 0,
          .backup_eligible = data.size() > flags_at && (data[flags_at] & backup_eligible_flag) != 0};
}

}  // namespace

Passkeys::Passkeys(const Policy& policy, audit::Log& log, const std::shared_ptr<const sealed::Sealer>& sealer,
                   const std::shared_ptr<const Clock>& clock)
    : policy_(policy), log_(log), clock_(clock), table_(sealer, "passkeys", sealed::Rollback::refused) {
  const auto key = crypto::SoftwareKey::generate();
  if (!key) panic("passkeys: no key can be made");
  stand_in_ = (*key)->public_key();
}

Result<Passkeys::Evaluated> Passkeys::load(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer) const {
  Evaluated loaded;
  auto row = table_.find(transaction, id.text());
  if (!row) return row.error();
  if (!*row) return loaded;
  loaded.version = (*row)->version;
  auto record = parse_passkeys((*row)->content.reveal());
  if (!record) return record.error();
  if (signer == nullptr) return loaded;
  // After a reset the row is of an earlier record of this name: its passkeys open nothing any more (TC-7).
  if (refused_by("sam.passkey.incarnation", record->incarnation != signer->incarnation)) return loaded;
  loaded.record = std::move(*record);
  return loaded;
}

Status Passkeys::store(storage::Transaction& transaction, const SignerId& id, const Evaluated& loaded, const PasskeyRecord& record) const {
  const auto content = encode(record);
  if (!loaded.version) return table_.insert(transaction, id.text(), content);
  return table_.update(transaction, id.text(), *loaded.version, content);
}

Result<std::vector<Passkey>> Passkeys::of(storage::Transaction& transaction, const SignerRecord& signer) const {
  auto loaded = load(transaction, signer.id, &signer);
  if (!loaded) return loaded.error();
  return std::move(loaded->record.passkeys);
}

bool Passkeys::may_use(const Passkey& passkey) const {
  const auto* rules = policy_.passkeys();
  if (rules == nullptr) return false;
  if (refused_by("sam.passkey.suspended", passkey.suspended)) return false;
  if (refused_by("sam.passkey.backup", passkey.backup_eligible && !rules->allow_backup_eligible)) return false;
  const auto& models = rules->models;
  const bool let_in = models.empty() || (passkey.attested && std::find(models.begin(), models.end(), passkey.model) != models.end());
  return !refused_by("sam.passkey.model", !let_in);
}

Result<Passkeys::Evaluated> Passkeys::evaluate(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                               const evidence::webauthn::AssertionResponse* shown, ByteView challenge) const {
  auto evaluated = load(transaction, id, signer);
  const auto* rules = policy_.passkeys();
  if (!evaluated || shown == nullptr || rules == nullptr) return evaluated;
  // The signer's credential is chosen before anything of the assertion is looked at: each case has one verification.
  const auto& passkeys = evaluated->record.passkeys;
  const auto own = std::find_if(passkeys.begin(), passkeys.end(),
                                [&](const Passkey& passkey) { return passkey.id == shown->credential_id && may_use(passkey); });
  auto credential = own == passkeys.end() ? Result<evidence::webauthn::Credential>(stand_in_for(*shown, *stand_in_)) : credential_of(*own);
  if (!credential) return credential.error();
  auto assertion = evidence::webauthn::verify_assertion(*rules, *credential, challenge, *shown);
  if (!assertion || own == passkeys.end()) return evaluated;
  evaluated->answered = static_cast<std::size_t>(own - passkeys.begin());
  evaluated->assertion = *assertion;
  return evaluated;
}

Result<bool> Passkeys::advance(storage::Transaction& transaction, const SignerId& id, const Evaluated& evaluated) const {
  auto record = evaluated.record;
  auto& passkey = record.passkeys.at(*evaluated.answered);
  const auto known = passkey.counter;
  const std::uint64_t told = evaluated.assertion->counter;
  if (refused_by("sam.passkey.counter", evaluated.assertion->counter_regressed)) {
    passkey.suspended = true;
    if (auto stored = store(transaction, id, evaluated, record); !stored) return stored.error();
    auto appended =
        log_.append(transaction, Event{.type = EventType::passkey_suspended,
                                       .actor = "signer:" + id.text(),
                                       .subject = id.text(),
                                       .outcome = Outcome::success,
                                       .fields = {{"passkey", encode_base64url(evidence::passkey_digest(passkey.id, passkey.spki))},
                                                  {"counter_known", std::to_string(known)},
                                                  {"counter_told", std::to_string(told)}}});
    if (!appended) return appended.error();
    return false;
  }
  if (told == known) return true;
  passkey.counter = told;
  if (auto stored = store(transaction, id, evaluated, record); !stored) return stored.error();
  return true;
}

Result<Passkey> Passkeys::verify_new(const evidence::webauthn::RegistrationResponse& response, ByteView challenge) const {
  const auto* rules = policy_.passkeys();
  if (rules == nullptr) return Error{ErrorCode::invalid_request, "passkeys are not served"};
  const auto now = clock_->now();
  auto registration = evidence::webauthn::verify_registration(*rules, challenge, response, now);
  if (!registration) return Error{ErrorCode::invalid_request, registration.error().detail};
  const auto& credential = registration->credential;
  return Passkey{.id = credential.id,
                 .spki = credential.key.spki(),
                 .suite = static_cast<std::uint64_t>(credential.suite),
                 .model = credential.model,
                 .counter = credential.counter,
                 .backup_eligible = credential.backup_eligible,
                 .attested = registration->attestation == evidence::webauthn::Attestation::trusted,
                 .suspended = false,
                 .registered = unix_seconds(now)};
}

Status Passkeys::put(storage::Transaction& transaction, const SignerRecord& signer, const std::optional<Passkey>& added, bool alone) const {
  auto loaded = load(transaction, signer.id, &signer);
  if (!loaded) return loaded.error();
  PasskeyRecord record{.incarnation = signer.incarnation, .passkeys = std::move(loaded->record.passkeys)};
  if (added) {
    const bool known =
        std::any_of(record.passkeys.begin(), record.passkeys.end(), [&](const Passkey& passkey) { return passkey.id == added->id; });
    // A suspended passkey does not come back under its own name either.
    if (refused_by("sam.passkey.known", known)) return Error{ErrorCode::conflict, "this passkey is registered already"};
  }
  if (alone) record.passkeys.clear();
  if (added) record.passkeys.push_back(*added);
  if (refused_by("sam.passkey.bound", record.passkeys.size() > max_passkeys))
    return Error{ErrorCode::limit_exceeded, "the signer has as many passkeys as are kept"};
  return store(transaction, signer.id, *loaded, record);
}

}  // namespace intaglio::sam
