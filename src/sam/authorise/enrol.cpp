#include "base/check.h"
#include "crypto/random.h"
#include "evidence/approval.h"
#include "sam/authorise/authorise.h"
#include "sam/authorise/factors_answer.h"
#include "sam/authorise/linked_identity.h"
#include "sam/factors/signerpass.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

/// Upper case without separators, as the operator's tool prints it in groups.
Secret normalised(const Secret& code) {
  Bytes out;
  for (const auto byte : code.reveal()) {
    if (byte == '-' || byte == ' ') continue;
    out.push_back(byte >= 'a' && byte <= 'z' ? static_cast<std::uint8_t>(byte - 'a' + 'A') : byte);
  }
  Secret secret(out);
  wipe(out);
  return secret;
}

Bytes code_digest(ByteView salt, const Secret& code) {
  Bytes input;
  append_field(input, salt);
  append_field(input, code.reveal());
  const WipeAtExit wiped(input);
  const auto digest = crypto::sha256(input);
  return to_bytes(ByteView(digest));
}

/// What the message sets up: a one-time password unless a passkey, a device or an identity takes its place, or beside them where the message asks for
/// one.
FactorSet enrolled_kinds(const SapMessage& message) {
  FactorSet kinds;
  if (!message.new_pin.empty()) kinds.add(message.new_secret_kind);
  if (message.new_seed || (!message.new_passkey && !message.new_device && !message.new_id_token)) kinds.add(Factor::totp);
  if (message.new_passkey) kinds.add(Factor::passkey);
  if (message.new_device) kinds.add(Factor::device);
  if (message.new_id_token) kinds.add(Factor::id_token);
  return kinds;
}

/// Charges a try of the activation code durably, then says whether the code is right; unknown signers are charged nothing and are wrong.
Result<bool> try_code(Core& core, const SignerId& signer, const SapMessage& message, const Secret& code) {
  bool right = false;
  auto charged = core.database.write([&](storage::Transaction& transaction) -> Status {
    right = false;
    if (auto consumed = core.factors.consume(transaction, "message", message.id, message.transaction.expires); !consumed) return consumed;
    auto record = core.factors.signers().find(transaction, signer.text());
    if (!record) return record.error();
    if (!*record) return {};
    auto parsed = parse_signer((*record)->content.reveal());
    if (!parsed) return parsed.error();
    const bool usable = !parsed->activation_digest.empty() && !refused_by("sam.enrol.tries", parsed->activation_tries_left == 0) &&
                        !refused_by("sam.enrol.ended", core.clock->now() >= parsed->activation_ends);
    if (!usable) return {};
    right = !refused_by("sam.enrol.code", !same_secret(code_digest(parsed->activation_salt, code), parsed->activation_digest));
    if (parsed->activation_tries_left > 0) --parsed->activation_tries_left;
    const auto encoded = encode(*parsed);
    return core.factors.signers().update(transaction, signer.text(), (*record)->version, encoded.reveal());
  });
  if (!charged) return charged.error();
  return right;
}

/// No failures and no used step; what was signed in the last day still counts when the factors were reset meanwhile.
Status fresh_state(Core& core, storage::Transaction& write, const SignerId& signer) {
  const auto& states = core.factors.states();
  auto earlier = states.find(write, signer.text());
  if (!earlier) return earlier.error();
  FactorState state;
  if (!*earlier) return states.insert(write, signer.text(), encode(state));
  auto before = parse_factor_state((*earlier)->content.reveal());
  if (!before) return before.error();
  state.counts = std::move(before->counts);
  return states.update(write, signer.text(), (*earlier)->version, encode(state));
}

}  // namespace

Result<protocol::Enrolled> enrol_factors(Core& core, std::string_view sap_message) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto message = open_message(core, protocol::Purpose::enrol, sap_message);
  if (!message) return message.error();
  const auto& transaction = message->transaction;
  const auto refuse = [&](const Error& error) {
    auto recorded = core.log.record(Event{.type = EventType::factors_refused,
                                          .actor = "signer:" + transaction.signer,
                                          .subject = transaction.signer,
                                          .outcome = Outcome::refused,
                                          .fields = {{"reason", std::string(name_of(error.code))}, {"client", transaction.client_id}}});
    return recorded ? error : recorded.error();
  };
  if (!message->answer_key) return refuse({ErrorCode::invalid_request, "epk is needed: the answer is sealed to it"});
  // The rules for factors are public and are checked before the code, so that a bad PIN costs no try.
  const auto kinds = enrolled_kinds(*message);
  if (kinds.has_knowledge() || !kinds.has(Factor::passkey)) {
    if (auto checked = check_new_secret(core.policy, message->new_secret_kind, message->new_pin, transaction.signer); !checked)
      return refuse(checked.error());
  }
  std::optional<Passkey> passkey;
  if (message->new_passkey) {
    auto verified = core.factors.passkeys().verify_new(*message->new_passkey, message->binding);
    if (!verified) return refuse(verified.error());
    passkey = std::move(*verified);
  }
  std::optional<Device> device;
  if (message->new_device) {
    auto verified = core.factors.devices().verify_new(*message->new_device, message->id, message->binding);
    if (!verified) return refuse(verified.error());
    device = std::move(*verified);
  }
  std::optional<NewIdentity> identity;
  if (message->new_id_token) {
    auto verified = core.factors.identities().verify_new(*message->new_id_token, message->binding);
    if (!verified) return refuse(verified.error());
    identity = std::move(*verified);
  }
  if (refused_by("sam.enrol.enough", !reaches_a_profile(core.policy, kinds)))
    return refuse({ErrorCode::invalid_request, "these factors open nothing"});
  auto signer = SignerId::parse(transaction.signer);
  if (!signer) return refuse(signer.error());

  auto right = try_code(core, *signer, *message, normalised(message->activation_code));
  if (!right) return refuse(right.error());
  // Same work whether or not the code was right (TC-11).
  auto verifier = core.factors.make_verifier(*signer, message->new_secret_kind, message->new_pin, /*version=*/1);
  if (!verifier) return refuse(verifier.error());
  auto seed = kinds.has(Factor::totp) ? crypto::random_secret(totp_seed_bytes) : Result<Secret>(Secret());
  if (!seed) return refuse(seed.error());
  if (!*right) return refuse({ErrorCode::authentication_failed, "the activation code is wrong, over or used, or there is no such signer"});

  // Sealed before anything is written: what cannot be answered is not done.
  auto sealed = seal_factors_answer(core, *message, seed->empty() ? nullptr : &*seed);
  if (!sealed) return refuse(sealed.error());
  auto stored = core.database.write([&](storage::Transaction& write) -> Status {
    if (auto consumed = core.factors.consume(write, "nonce", encode_base64url(transaction.nonce), transaction.expires); !consumed)
      return consumed;
    auto record = core.factors.signers().find(write, signer->text());
    if (!record) return record.error();
    if (!*record) return Error{ErrorCode::authentication_failed, "the signer is gone"};
    auto parsed = parse_signer((*record)->content.reveal());
    if (!parsed) return parsed.error();
    if (refused_by("sam.enrol.once", parsed->activation_digest.empty()))
      return Error{ErrorCode::authentication_failed, "the activation code was used meanwhile"};
    parsed->activation_digest.clear();
    parsed->activation_salt.clear();
    parsed->activation_tries_left = 0;
    if (kinds.has_knowledge()) parsed->pin = *verifier;
    parsed->totp_seed = seed->clone();
    const auto encoded = encode(*parsed);
    if (auto updated = core.factors.signers().update(write, signer->text(), (*record)->version, encoded.reveal()); !updated) return updated;
    if (passkey) {
      if (auto put = core.factors.passkeys().put(write, *parsed, passkey, /*alone=*/true); !put) return put;
    }
    if (device) {
      if (auto put = core.factors.devices().put(write, *parsed, device, /*alone=*/true); !put) return put;
    }
    if (identity) {
      if (auto linked = link_identity(core, write, *parsed, *identity, transaction.expires); !linked) return linked;
    }
    if (auto fresh = fresh_state(core, write, *signer); !fresh) return fresh;
    Event event{.type = EventType::factors_enrolled,
                .actor = "signer:" + signer->text(),
                .subject = signer->text(),
                .outcome = Outcome::success,
                .fields = {{"factors", kinds.text()}, {"client", transaction.client_id}}};
    if (passkey) event.fields.emplace_back("passkey", encode_base64url(evidence::passkey_digest(passkey->id, passkey->spki)));
    if (device) event.fields.emplace_back("device", device_field(*device));
    if (identity) event.fields.emplace_back("identity", identity_field(identity->link));
    auto appended = core.log.append(write, event);
    return appended ? Status() : Status(appended.error());
  });
  if (!stored) return refuse(stored.error());

  return protocol::Enrolled{.sealed_answer = std::move(*sealed)};
}

}  // namespace intaglio::sam
