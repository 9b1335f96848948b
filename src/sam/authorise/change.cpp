#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jwe.h"
#include "crypto/random.h"
#include "evidence/approval.h"
#include "sam/authorise/attempt.h"
#include "sam/authorise/authorise.h"
#include "sam/authorise/factors_answer.h"
#include "sam/authorise/linked_identity.h"
#include "sam/authorise/wrapped_keys.h"
#include "sam/authority/registration.h"
#include "sam/authority/voiding.h"
#include "sam/factors/signerpass.h"

/// What a signer changes with the factors that he has: the factors themselves, and the state of his keys.
namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

struct NewFactors {
  std::optional<PinVerifier> pin;
  std::vector<ResealedKey> keys;  ///< with another PIN: those in wrapped custody, under its locks
  std::optional<Secret> seed;
  std::optional<Passkey> passkey;
  bool drop_passkeys = false;
  std::optional<Device> device;
  bool drop_devices = false;
  std::optional<NewIdentity> identity;
  FactorSet kinds;  ///< what changes
};

std::uint64_t pin_version(const SignerRecord& signer) noexcept { return signer.pin ? signer.pin->version : 0; }

bool asks_for_a_change(const SapMessage& message) noexcept {
  const bool secret = !message.new_pin.empty() || message.new_seed;
  const bool possession = message.new_passkey || message.drop_passkeys || message.new_device || message.drop_devices;
  return secret || possession || message.new_id_token;
}

/// Made before the write: Argon2id and the token are not for the writer's thread.
Status make_factors(Core& core, const SapMessage& message, const FactorsProven& proven, NewFactors& made) {
  const auto& signer = proven.signer();
  if (!message.new_pin.empty()) {
    auto pin = core.factors.make_pin(signer.id, message.new_secret_kind, message.new_pin, pin_version(signer) + 1);
    if (!pin) return pin.error();
    auto resealed = reseal_keys(core, proven, *pin);
    if (!resealed) return resealed.error();
    made.pin = std::move(pin->verifier);
    made.keys = *std::move(resealed);
    made.kinds.add(message.new_secret_kind);
  }
  if (message.new_seed) {
    auto seed = crypto::random_secret(totp_seed_bytes);
    if (!seed) return seed.error();
    made.seed = std::move(*seed);
    made.kinds.add(Factor::totp);
  }
  if (made.passkey || made.drop_passkeys) made.kinds.add(Factor::passkey);
  if (made.device || made.drop_devices) made.kinds.add(Factor::device);
  if (made.identity) made.kinds.add(Factor::id_token);
  return {};
}

/// Within the transaction: passkeys, devices and identities come and go, and what the signer has then opens something.
Status put_possession(Core& core, storage::Transaction& write, const SignerRecord& signer, const NewFactors& made, UnixTime ends) {
  if (made.passkey || made.drop_passkeys) {
    if (auto put = core.factors.passkeys().put(write, signer, made.passkey, made.drop_passkeys); !put) return put;
  }
  if (made.device || made.drop_devices) {
    if (auto put = core.factors.devices().put(write, signer, made.device, made.drop_devices); !put) return put;
  }
  if (made.identity) {
    if (auto linked = link_identity(core, write, signer, *made.identity, ends); !linked) return linked;
  }
  const auto held = core.factors.held_now(write, signer);
  if (!held) return held.error();
  if (refused_by("sam.change.enough", !reaches_a_profile(core.policy, *held)))
    return Error{ErrorCode::invalid_request, "the factors that would be left open nothing"};
  return {};
}

/// Within the transaction.
Status put_factors(Core& core, storage::Transaction& write, const FactorsProven& proven, const NewFactors& made, UnixTime ends) {
  auto current = core.factors.find_current(write, proven);
  if (!current) return current.error();
  auto& signer = current->record;
  if (made.pin) signer.pin = *made.pin;
  if (made.seed) signer.totp_seed = made.seed->clone();
  const auto encoded = encode(signer);
  if (auto updated = core.factors.signers().update(write, signer.id.text(), current->version, encoded.reveal()); !updated) return updated;
  return put_possession(core, write, signer, made, ends);
}

/// Within the transaction: what the signer asked of a key that is his.
Status put_key_change(Core& core, storage::Transaction& write, const SapMessage& message, const SignerRecord& signer) {
  const auto& transaction = message.transaction;
  auto id = KeyId::parse(transaction.key);
  if (!id) return id.error();
  auto key = core.keys.find(write, *id);
  if (!key) return key.error();
  if (!*key) return Error{ErrorCode::credential_unknown, "no such key"};
  const auto& record = (*key)->record;
  if (refused_by("sam.change.holder", record.owner != signer.id || record.holder != signer.incarnation))
    return Error{ErrorCode::authentication_failed, "the key belongs to another signer, or to an earlier record of this one"};
  const std::string actor = "signer:" + signer.id.text();
  const std::vector<std::pair<std::string, std::string>> references = {{"authorisation", encode_base64url(transaction.nonce)}};
  if (transaction.purpose == protocol::Purpose::suspend)
    return suspend_within(core, write, std::move(**key), actor, "the signer asked", references);
  if (refused_by("sam.change.destroyed", record.state == custody::KeyState::destroyed))
    return Error{ErrorCode::conflict, "the key is destroyed already"};
  return void_key(core, write, std::move(**key), {actor, "the signer asked", references});
}

}  // namespace

Result<protocol::Enrolled> change_factors(Core& core, std::string_view sap_message) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto message = open_message(core, protocol::Purpose::factors, sap_message);
  if (!message) return message.error();
  const auto& transaction = message->transaction;
  const auto refuse = [&](const Error& error) {
    record_refusal(core, *message, error);
    return error;
  };
  if (!message->answer_key) return refuse({ErrorCode::invalid_request, "epk is needed: the answer is sealed to it"});
  if (!asks_for_a_change(*message)) {
    return refuse({ErrorCode::invalid_request,
                   "new-pin, new-signerpass, new-passkey, new-device, new-id-token, new_seed, drop_passkeys or drop_devices is needed"});
  }
  // The rules for a PIN, a signerpass, a passkey, a device and an ID token are public and are checked first, so that a bad one costs no attempt.
  if (!message->new_pin.empty()) {
    if (auto checked = check_new_secret(core.policy, message->new_secret_kind, message->new_pin, transaction.signer); !checked)
      return refuse(checked.error());
  }
  NewFactors made;
  made.drop_passkeys = message->drop_passkeys;
  made.drop_devices = message->drop_devices;
  if (message->new_passkey) {
    auto passkey = core.factors.passkeys().verify_new(*message->new_passkey, message->binding);
    if (!passkey) return refuse(passkey.error());
    made.passkey = std::move(*passkey);
  }
  if (message->new_device) {
    auto device = core.factors.devices().verify_new(*message->new_device, message->id, message->binding);
    if (!device) return refuse(device.error());
    made.device = std::move(*device);
  }
  if (message->new_id_token) {
    auto identity = core.factors.identities().verify_new(*message->new_id_token, message->binding);
    if (!identity) return refuse(identity.error());
    made.identity = std::move(*identity);
  }
  auto proven = prove_factors(core, *message);
  if (!proven) return refuse(proven.error());
  const auto& profile = profile_of(core, transaction);
  const auto refuse_proven = [&](const Error& error) {
    give_attempt_back(core, *proven, profile);
    return refuse(error);
  };
  const auto& signer = proven->signer();
  if (auto done = make_factors(core, *message, *proven, made); !done) return refuse_proven(done.error());
  // Sealed before anything is written: what cannot be answered is not done.
  auto sealed = seal_factors_answer(core, *message, made.seed ? &*made.seed : nullptr);
  if (!sealed) return refuse_proven(sealed.error());
  auto stored = core.database.write([&](storage::Transaction& write) -> Status {
    if (auto consumed = core.factors.consume(write, "nonce", encode_base64url(transaction.nonce), transaction.expires); !consumed)
      return consumed;
    if (auto put = put_factors(core, write, *proven, made, transaction.expires); !put) return put;
    if (made.pin) {
      if (auto put = put_resealed(core, write, signer.id, made.keys); !put) return put;
    }
    if (auto given = core.factors.give_back(write, *proven, 0, profile); !given) return given;
    // Whoever changes a PIN because someone saw it does not want what was approved with it.
    if (auto voided = void_authorisations(core, write, signer.id); !voided) return voided;
    Event event{.type = EventType::factors_changed,
                .actor = "signer:" + signer.id.text(),
                .subject = signer.id.text(),
                .outcome = Outcome::success,
                .fields = {{"factors", made.kinds.text()},
                           {"shown", proven->shown().text()},
                           {"authorisation", encode_base64url(transaction.nonce)},
                           {"client", transaction.client_id}}};
    if (made.passkey)
      event.fields.emplace_back("passkey", encode_base64url(evidence::passkey_digest(made.passkey->id, made.passkey->spki)));
    if (made.device) event.fields.emplace_back("device", device_field(*made.device));
    if (made.identity) event.fields.emplace_back("identity", identity_field(made.identity->link));
    if (made.drop_passkeys) event.fields.emplace_back("passkeys_of_before", "ended");
    if (made.drop_devices) event.fields.emplace_back("devices_of_before", "ended");
    auto appended = core.log.append(write, event);
    return appended ? Status() : Status(appended.error());
  });
  if (!stored) return refuse_proven(stored.error());
  return protocol::Enrolled{.sealed_answer = std::move(*sealed)};
}

Status change_key(Core& core, std::string_view sap_message) {
  if (auto ready = core.ready(); !ready) return ready;
  auto header = crypto::peek_jwe_header(sap_message);
  if (!header) return header.error();
  // The typ chooses what the ticket must be for; it decides nothing more.
  const auto purpose = header->typ == message_typ(protocol::Purpose::suspend) ? protocol::Purpose::suspend : protocol::Purpose::destroy;
  auto message = open_message(core, purpose, sap_message);
  if (!message) return message.error();
  const auto refuse = [&](const Error& error) {
    record_refusal(core, *message, error);
    return error;
  };
  auto proven = prove_factors(core, *message);
  if (!proven) return refuse(proven.error());
  const auto& transaction = message->transaction;
  const auto& profile = profile_of(core, transaction);
  auto written = core.database.write([&](storage::Transaction& write) -> Status {
    if (auto consumed = core.factors.consume(write, "nonce", encode_base64url(transaction.nonce), transaction.expires); !consumed)
      return consumed;
    if (auto current = core.factors.find_current(write, *proven); !current) return current.error();
    if (auto given = core.factors.give_back(write, *proven, 0, profile); !given) return given;
    return put_key_change(core, write, *message, proven->signer());
  });
  if (!written) {
    give_attempt_back(core, *proven, profile);
    return refuse(written.error());
  }
  // The decision stands; what the token does not do now is tried again.
  if (auto destroyed = destroy_voided_keys(core); !destroyed) log::refusal("key.not_destroyed_yet", destroyed.error());
  return {};
}

}  // namespace intaglio::sam
