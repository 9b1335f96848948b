#include "sam/authority/registration.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "crypto/revocation.h"
#include "sam/authority/identity.h"
#include "sam/authority/operator_request.h"
#include "sam/authority/revoked_keys.h"
#include "sam/authority/voiding.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

constexpr std::size_t activation_code_bytes = 10;  // 80 bits, 16 characters of base32

Bytes activation_digest(ByteView salt, std::string_view code) {
  Bytes input;
  append_field(input, salt);
  append_field(input, code);
  const WipeAtExit wiped(input);
  const auto digest = crypto::sha256(input);
  return to_bytes(ByteView(digest));
}

Status append_event(Core& core, storage::Transaction& transaction, const Event& event) {
  auto appended = core.log.append(transaction, event);
  return appended ? Status() : Status(appended.error());
}

Result<custody::StoredKey> existing_key(Core& core, storage::Transaction& transaction, const KeyId& key) {
  auto found = core.keys.find(transaction, key);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::credential_unknown, "no such key"};
  return std::move(**found);
}

/// The issuer's newest list does not name the key's certificate: its word and the operator's are both needed to lift a hold (CIR 2015/1502,
/// 2.2.3: reactivation only with the assurance of before).
Status check_released(const Core& core, storage::Transaction& transaction, const custody::KeyRecord& record) {
  if (record.certificates.empty()) return Error{ErrorCode::conflict, "the key has no certificate"};
  auto certificate = crypto::Certificate::parse_der(record.certificates.front());
  if (!certificate) return certificate.error();
  if (auto fresh = core.revocations->refresh(transaction, core.sealer, certificate->issuer_der()); !fresh) return fresh;
  if (refused_by("sam.resume.hold", !core.revocations->clears(*certificate)))
    return Error{ErrorCode::conflict, "the certificate is on hold"};
  return {};
}

Status check_certificate(Core& core, storage::Transaction& transaction, const SignerRecord& signer, const custody::KeyRecord& record,
                         const std::vector<crypto::Certificate>& chain) {
  const auto& leaf = chain.front();
  const auto now = core.clock->now();
  auto key = leaf.public_key();
  if (!key) return key.error();
  const auto refuse = [](std::string detail) { return Error{ErrorCode::certificate_invalid, std::move(detail)}; };
  if (refused_by("sam.bind.spki", key->spki() != record.spki)) return refuse("the certificate is for another key");
  // Every certificate of the path, the leaf too, is valid now or there is no path.
  const std::vector<crypto::Certificate> intermediates(chain.begin() + 1, chain.end());
  if (auto path = crypto::verify_chain(leaf, intermediates, core.policy.ca_anchors(), now); refused_by("sam.bind.path", !path))
    return refuse(path.error().detail);
  if (refused_by("sam.bind.issuer", !core.revocations->knows_issuer(leaf)))
    return refuse("its issuer is no CA of the policy: no list that revokes it would be taken");
  if (auto fresh = core.revocations->refresh(transaction, core.sealer, leaf.issuer_der()); !fresh) return fresh;
  if (refused_by("sam.bind.crl", core.revocations->contains(leaf))) return refuse("the certificate is revoked");
  if (auto policy = core.policy.algorithms().may_certify(key->algorithm(), now); refused_by("sam.bind.algorithm-policy", !policy))
    return policy;
  auto recorded = json::parse(signer.identity);
  if (!recorded) return recorded.error();
  auto identity = parse_identity(*recorded);
  if (!identity) return identity.error();
  if (refused_by("sam.bind.subject", !identity->is_named_by(leaf.subject_der())))
    return refuse("the certificate's subject is not the identity record's person");
  return {};
}

/// A signer's record as an operator's request makes it, and the activation code sealed to whom the request says.
struct Registration {
  SignerRecord record;
  std::string sealed_code;
};
Result<Registration> make_registration(const Core& core, const OperatorRequest& request) {
  auto signer_text = json::text_member(request.body, "signer", 64);
  if (!signer_text) return signer_text.error();
  auto signer = SignerId::parse(*signer_text);
  if (!signer) return signer.error();
  const auto* identity_value = json::member(request.body, "identity");
  const auto* deliver_to = json::member(request.body, "deliver_to");
  if (identity_value == nullptr || deliver_to == nullptr)
    return Error{ErrorCode::invalid_request, "operator request: identity and deliver_to are needed"};
  auto identity = parse_identity(*identity_value);
  if (!identity) return identity.error();
  auto recipient = crypto::parse_jwk(json::encode(*deliver_to));
  if (!recipient) return Error{ErrorCode::invalid_request, "operator request: deliver_to is not a P-256 JWK"};

  auto code_bytes = crypto::random_secret(activation_code_bytes);
  auto salt = crypto::random_bytes(16);
  auto incarnation = crypto::random_bytes(16);
  if (!incarnation) return incarnation.error();
  if (!code_bytes) return code_bytes.error();
  if (!salt) return salt.error();
  std::string code = encode_base32(code_bytes->reveal());
  const WipeAtExit wiped_code(code);
  std::string plaintext;
  plaintext.reserve(256);
  plaintext.append(R"({"code":")").append(code).append(R"(","signer":")").append(signer->text()).append("\"}");
  const WipeAtExit wiped_plaintext(plaintext);
  auto sealed = crypto::make_jwe(
      *recipient, {.typ = "intaglio-activation+jwe", .kid = request.by.text(), .apu = *salt, .apv = to_bytes(request.by.text())},
      as_bytes(plaintext));
  if (!sealed) return sealed.error();

  const auto now = core.clock->now();
  SignerRecord record{.id = *signer,
                      .incarnation = *incarnation,
                      .identity = identity->canonical,
                      .created_by = request.by.text(),
                      .created = now,
                      .activation_salt = *salt,
                      .activation_digest = activation_digest(*salt, code),
                      .activation_ends = now + core.policy.activation_lifetime,
                      .activation_tries_left = core.policy.activation_tries,
                      .pin = std::nullopt,
                      .totp_seed = {}};
  return Registration{std::move(record), std::move(*sealed)};
}

/// A reset is for the person who is registered: a name may change, the identifier of the person may not.
Status check_same_person(const SignerRecord& before, const SignerRecord& now) {
  const auto old_identity = json::parse(before.identity);
  const auto new_identity = json::parse(now.identity);
  if (!old_identity || !new_identity) return Error{ErrorCode::storage_unavailable, "an identity record is malformed"};
  // A member that neither has is the same: an organisation has no serialNumber, and not everybody acts for one.
  const auto same = [&](const std::string& member) {
    return old_identity->value(member, json::Value()) == new_identity->value(member, json::Value());
  };
  if (refused_by("sam.reset.person", !same("country") || !same("serialNumber") || !same("organizationIdentifier")))
    return Error{ErrorCode::conflict, "the identity is another person's"};
  return {};
}

}  // namespace

Result<protocol::SignerCreated> create_signer(Core& core, std::string_view operator_request) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto request = verify_operator_request(core, operator_request, "create-signer");
  if (!request) return request.error();
  auto made = make_registration(core, *request);
  if (!made) return made.error();
  const auto& signer = made->record.id;
  const auto encoded = encode(made->record);
  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto consumed = core.factors.consume(transaction, "operator request", request->rid, request->ends); !consumed) return consumed;
    if (auto inserted = core.factors.signers().insert(transaction, signer.text(), encoded.reveal()); !inserted) return inserted;
    return append_event(core, transaction,
                        Event{.type = EventType::signer_created,
                              .actor = "operator:" + request->by.text(),
                              .subject = signer.text(),
                              .outcome = Outcome::success,
                              .fields = {{"request", encode_base64url(crypto::sha256(as_bytes(operator_request)))}}});
  });
  if (!written) return written.error();
  return protocol::SignerCreated{.signer = signer, .sealed_activation_code = std::move(made->sealed_code)};
}

Result<protocol::SignerCreated> reset_factors(Core& core, std::string_view operator_request) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto request = verify_operator_request(core, operator_request, "reset-factors");
  if (!request) return request.error();
  auto made = make_registration(core, *request);
  if (!made) return made.error();
  const auto& signer = made->record.id;
  const auto encoded = encode(made->record);
  const auto request_digest = encode_base64url(crypto::sha256(as_bytes(operator_request)));
  const VoidingReason why{"operator:" + request->by.text(), "factors reset", {{"request", request_digest}}};
  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto consumed = core.factors.consume(transaction, "operator request", request->rid, request->ends); !consumed) return consumed;
    auto earlier = core.factors.signers().find(transaction, signer.text());
    if (!earlier) return earlier.error();
    if (!*earlier) return Error{ErrorCode::not_found, "no such signer"};
    auto before = parse_signer((*earlier)->content.reveal());
    if (!before) return before.error();
    if (auto same = check_same_person(*before, made->record); !same) return same;
    if (auto updated = core.factors.signers().update(transaction, signer.text(), (*earlier)->version, encoded.reveal()); !updated)
      return updated;
    auto keys = core.keys.of_owner(transaction, signer);
    if (!keys) return keys.error();
    std::size_t voided = 0;
    for (auto& key : *keys) {
      if (key.record.state == custody::KeyState::destroyed) continue;
      if (auto done = void_key(core, transaction, std::move(key), why); !done) return done;
      ++voided;
    }
    if (auto done = void_authorisations(core, transaction, signer); !done) return done;
    return append_event(core, transaction,
                        Event{.type = EventType::factors_reset,
                              .actor = why.actor,
                              .subject = signer.text(),
                              .outcome = Outcome::success,
                              .fields = {{"request", request_digest}, {"keys", std::to_string(voided)}}});
  });
  if (!written) return written.error();
  // The decision stands; what the token does not do now is tried again.
  if (auto destroyed = destroy_voided_keys(core); !destroyed) log::refusal("key.not_destroyed_yet", destroyed.error());
  return protocol::SignerCreated{.signer = signer, .sealed_activation_code = std::move(made->sealed_code)};
}

Result<custody::KeyRecord> bind_certificate(Core& core, const protocol::CertificateBinding& binding) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto request = verify_operator_request(core, binding.operator_request, "bind-certificate");
  if (!request) return request.error();
  auto key_text = json::text_member(request->body, "key", 64);
  auto digest = json::base64url_member(request->body, "certificate_sha256", 32);
  if (!key_text || !digest) return Error{ErrorCode::invalid_request, "operator request: key and certificate_sha256 are needed"};
  auto key_id = KeyId::parse(*key_text);
  if (!key_id) return key_id.error();
  if (binding.certificates.empty() || binding.certificates.size() > 4)
    return Error{ErrorCode::invalid_request, "one to four certificates, leaf first"};
  std::vector<crypto::Certificate> chain;
  for (const auto& der : binding.certificates) {
    auto certificate = crypto::Certificate::parse_der(der);
    if (!certificate) return Error{ErrorCode::invalid_request, "a certificate cannot be read: " + certificate.error().detail};
    chain.push_back(std::move(*certificate));
  }
  const auto leaf_digest = chain.front().fingerprint();
  if (refused_by("sam.bind.operator-digest", to_bytes(ByteView(leaf_digest)) != *digest))
    return Error{ErrorCode::not_authorised, "the operator approved another certificate"};

  std::optional<custody::StoredKey> bound;
  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto consumed = core.factors.consume(transaction, "operator request", request->rid, request->ends); !consumed) return consumed;
    auto stored = existing_key(core, transaction, *key_id);
    if (!stored) return stored.error();
    if (refused_by("sam.bind.state", stored->record.state != custody::KeyState::generated))
      return Error{ErrorCode::conflict, "the key has a certificate already"};
    auto signer_record = core.factors.signers().find(transaction, stored->record.owner.text());
    if (!signer_record) return signer_record.error();
    if (!*signer_record) return Error{ErrorCode::storage_unavailable, "the key's owner is gone"};
    auto signer = parse_signer((*signer_record)->content.reveal());
    if (!signer) return signer.error();
    if (refused_by("sam.bind.holder", stored->record.holder != signer->incarnation))
      return Error{ErrorCode::conflict, "the key belongs to an earlier record of this signer"};
    if (auto checked = check_certificate(core, transaction, *signer, stored->record, chain); !checked) return checked;
    stored->record.state = custody::KeyState::assigned;
    stored->record.certificates = binding.certificates;
    if (auto updated = core.keys.update(transaction, *stored); !updated) return updated;
    auto appended = append_event(core, transaction,
                                 Event{.type = EventType::certificate_bound,
                                       .actor = "operator:" + request->by.text(),
                                       .subject = key_id->text(),
                                       .outcome = Outcome::success,
                                       .fields = {{"certificate", encode_base64url(leaf_digest)},
                                                  {"not_after", format_utc(chain.front().not_after())},
                                                  {"request", encode_base64url(crypto::sha256(as_bytes(binding.operator_request)))}}});
    bound = std::move(*stored);
    return appended;
  });
  if (!written) return written.error();
  return std::move(bound->record);
}

Status suspend_within(Core& core, storage::Transaction& transaction, custody::StoredKey key, const std::string& actor,
                      const std::string& reason, const std::vector<std::pair<std::string, std::string>>& references) {
  if (key.record.state == custody::KeyState::suspended) return {};
  if (key.record.state != custody::KeyState::assigned) return Error{ErrorCode::conflict, "only an ASSIGNED key is suspended"};
  key.record.state = custody::KeyState::suspended;
  key.record.suspended_because = reason;
  if (auto updated = core.keys.update(transaction, key); !updated) return updated;
  Event event{.type = EventType::key_suspended,
              .actor = actor,
              .subject = key.record.id.text(),
              .outcome = Outcome::success,
              .fields = {{"reason", reason}, {"change", "suspended"}}};
  event.fields.insert(event.fields.end(), references.begin(), references.end());
  return append_event(core, transaction, event);
}

Status suspend_key(Core& core, const KeyId& key, std::string_view reason) {
  if (reason.empty() || reason.size() > 256) return Error{ErrorCode::invalid_request, "a reason of 1 to 256 bytes is needed"};
  return core.database.write([&](storage::Transaction& transaction) -> Status {
    auto stored = existing_key(core, transaction, key);
    if (!stored) return stored.error();
    return suspend_within(core, transaction, std::move(*stored), "ssa", std::string(reason), {});
  });
}

Status suspend_by_operator(Core& core, std::string_view operator_request) {
  auto request = verify_operator_request(core, operator_request, "suspend-key");
  if (!request) return request.error();
  auto key_text = json::text_member(request->body, "key", 64);
  auto reason = json::text_member(request->body, "reason", 64);
  if (!key_text || !reason || reason->empty())
    return Error{ErrorCode::invalid_request, "operator request: key and reason (1 to 64 bytes) are needed"};
  auto key = KeyId::parse(*key_text);
  if (!key) return key.error();
  return core.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto consumed = core.factors.consume(transaction, "operator request", request->rid, request->ends); !consumed) return consumed;
    auto stored = existing_key(core, transaction, *key);
    if (!stored) return stored.error();
    return suspend_within(core, transaction, std::move(*stored), "operator:" + request->by.text(), *reason,
                          {{"request", encode_base64url(crypto::sha256(as_bytes(operator_request)))}});
  });
}

Status resume_key(Core& core, std::string_view operator_request) {
  if (auto ready = core.ready(); !ready) return ready;
  auto request = verify_operator_request(core, operator_request, "resume-key");
  if (!request) return request.error();
  auto key_text = json::text_member(request->body, "key", 64);
  if (!key_text) return key_text.error();
  auto key = KeyId::parse(*key_text);
  if (!key) return key.error();
  return core.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto consumed = core.factors.consume(transaction, "operator request", request->rid, request->ends); !consumed) return consumed;
    auto stored = existing_key(core, transaction, *key);
    if (!stored) return stored.error();
    const bool suspended = stored->record.state == custody::KeyState::suspended;
    // A revoked key that was not ended had its certificate on hold (revoked_keys.h).
    const bool on_hold = stored->record.revoked && (suspended || stored->record.state == custody::KeyState::assigned);
    if (!suspended && !on_hold) return Error{ErrorCode::conflict, "the key is not suspended"};
    if (on_hold) {
      if (auto released = check_released(core, transaction, stored->record); !released) return released;
    }
    stored->record.revoked = false;
    stored->record.state = custody::KeyState::assigned;
    stored->record.suspended_because.clear();
    if (auto updated = core.keys.update(transaction, *stored); !updated) return updated;
    return append_event(core, transaction,
                        Event{.type = EventType::key_suspended,
                              .actor = "operator:" + request->by.text(),
                              .subject = key->text(),
                              .outcome = Outcome::success,
                              .fields = {{"reason", "operator"},
                                         {"change", "resumed"},
                                         {"request", encode_base64url(crypto::sha256(as_bytes(operator_request)))}}});
  });
}

Status put_revocation_data(Core& core, ByteView crl) {
  if (auto ready = core.ready(); !ready) return ready;
  auto list = crypto::parse_crl(crl);
  if (!list) return list.error();
  const crypto::Certificate* issuer = nullptr;
  for (const auto& anchor : core.policy.ca_anchors()) {
    if (anchor.subject_der() == list->issuer_der) issuer = &anchor;
  }
  if (issuer == nullptr) return Error{ErrorCode::not_authorised, "the list is of no CA in the policy"};
  if (auto verified = crypto::verify_crl(crl, *issuer); refused_by("sam.crl.signature", !verified))
    return Error{ErrorCode::not_authorised, verified.error().detail};

  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    const auto news = core.revocations->take(transaction, core.sealer, *list);
    if (!news) return news.error();
    for (const auto& revoked : *news) {
      auto stored = core.keys.with_certificate(transaction, list->issuer_der, revoked.serial_hex);
      if (!stored) return stored.error();
      if (!*stored) continue;
      const auto key = (*stored)->record.id;
      const auto changed = end_revoked_key(core, transaction, **std::move(stored), revoked.reason);
      if (!changed) return changed.error();
      if (!*changed) continue;
      auto appended = append_event(core, transaction,
                                   Event{.type = EventType::revocation_recorded,
                                         .actor = "ca",
                                         .subject = key.text(),
                                         .outcome = Outcome::success,
                                         .fields = {{"serial", revoked.serial_hex},
                                                    {"reason", std::string(name_of(revoked.reason))},
                                                    {"crl_number", std::to_string(list->number)}}});
      if (!appended) return appended;
    }
    return {};
  });
  if (!written) return written;
  // The decision stands; what the token does not do now is tried again.
  if (auto destroyed = destroy_voided_keys(core); !destroyed) log::refusal("key.not_destroyed_yet", destroyed.error());
  return {};
}

}  // namespace intaglio::sam
