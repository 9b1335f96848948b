#include "sam/one_time/session.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/cms.h"
#include "crypto/inspection.h"
#include "crypto/jose/jws.h"
#include "evidence/identity_approval.h"
#include "json/json.h"
#include "sam/authorise/attempt.h"
#include "sam/authorise/authorisation_record.h"
#include "sam/authorise/kept_approval.h"
#include "sam/authority/voiding.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

/// EN 319 412-1, 5.2: validity-assured-short-term.
constexpr std::string_view oid_short_term = "0.4.0.194121.2.1";
constexpr std::chrono::hours longest_validity{24};

Error refuse_certificate(std::string detail) { return {ErrorCode::certificate_invalid, std::move(detail)}; }

bool shows_only_an_id_token(const SapMessage& message) noexcept {
  return message.id_token && message.pin.empty() && message.totp.empty() && message.activation_code.empty() && message.new_pin.empty() &&
         !message.passkey && !message.new_passkey && !message.device && !message.new_device && !message.new_id_token && !message.new_seed &&
         !message.drop_passkeys && !message.drop_devices;
}

/// Names a person at a provider the same in each session, and tells whoever reads the log or the database nothing.
Result<SignerId> pseudonym_of(const Core& core, const IdentityLink& link) {
  Bytes who;
  append_field(who, link.issuer);
  append_field(who, link.subject);
  return SignerId::parse(encode_base64url(core.sealer->blind_index("one_time", "person", who)));
}

}  // namespace

OneTimeSession::~OneTimeSession() {
  if (!identified_) return;
  const auto key = identified_->key;
  if (auto ended = end("its session ended", /*released=*/false); !ended)
    log::refusal("one_time.not_ended", ended.error(), {{"key", key.text()}});
  live_.remove(key);
}

Result<OneTimeSession::Identified> OneTimeSession::verify(const SapMessage& message, IdentityProof& proof) const {
  const auto& transaction = message.transaction;
  if (refused_by("sam.one-time.only-identification", !shows_only_an_id_token(message)))
    return Error{ErrorCode::invalid_request, "a session begins with an ID token and nothing else"};
  const auto* profile = core_.policy.profile(transaction.profile);
  if (profile == nullptr || !profile->one_time) return Error{ErrorCode::credential_disabled, "the profile is not in the policy any more"};
  const auto session = protocol::session_digest(transaction, message.terms, message.act);
  auto said = core_.factors.identities().identify(message.id_token.value_or(std::string()), session);
  if (!said) return Error{ErrorCode::authentication_failed, said.error().detail};
  proof = *std::move(said);
  auto subject = asserted_subject(profile->one_time->claims, proof.said);
  if (!subject) return subject.error();
  auto person = pseudonym_of(core_, proof.link);
  if (!person) return person.error();
  auto key = KeyId::parse(transaction.key);
  if (!key) return key.error();
  return Identified{.transaction = transaction,
                    .consent = message.consent,
                    .session = session,
                    .terms = message.terms,
                    .act = message.act,
                    .profile = profile,
                    .subject = *std::move(subject),
                    .person = *std::move(person),
                    .key = *std::move(key)};
}

Status OneTimeSession::claim(const SapMessage& message, const Identified& identified, const IdentityProof& proof) {
  const auto& transaction = identified.transaction;
  return core_.database.write([&](storage::Transaction& write) -> Status {
    const auto& factors = core_.factors;
    if (auto once = factors.consume(write, "nonce", encode_base64url(transaction.nonce), transaction.expires); !once) return once;
    if (auto once = factors.consume(write, "ID token", encode_base64url(proof.said.digest), transaction.expires); !once) return once;
    const auto documents = static_cast<std::uint32_t>(transaction.documents.size());
    if (auto within = factors.count_session(write, identified.person, documents, *identified.profile); !within) return within;
    // The key's name is known to the database before the token makes anything.
    if (auto named = pending_keys(core_).insert(write, identified.key.text(), as_bytes(core_.node)); !named) return named;
    auto evidence = keep_identification(core_, write, message, proof);
    if (!evidence) return evidence.error();
    const auto identity = evidence::identity_digest(proof.link.salt, proof.link.issuer, proof.link.subject);
    auto appended =
        core_.log.append(write, Event{.type = EventType::person_identified,
                                      .actor = "signer:" + identified.person.text(),
                                      .subject = identified.key.text(),
                                      .outcome = Outcome::success,
                                      .fields = {{"authorisation", encode_base64url(transaction.nonce)},
                                                 {"session", encode_base64url(identified.session)},
                                                 {"identity", encode_base64url(identity)},
                                                 {"terms", message.terms.id + "/" + message.terms.version + "/" + message.terms.language},
                                                 {"act", message.act},
                                                 {"profile", transaction.profile},
                                                 {"client", transaction.client_id},
                                                 {"evidence", encode_base64url(*evidence)}}});
    return appended ? Status() : Status(appended.error());
  });
}

Result<protocol::KeyGenerated> OneTimeSession::make_key() {
  const auto& about = *identified_;
  const auto algorithm = about.profile->key_algorithms.front();
  auto public_key = core_.one_time_vault->generate(about.key, algorithm);
  if (!public_key) return public_key.error();
  fault_point("sam.one-time.generated");
  auto name = about.subject.name();
  if (!name) return name.error();
  auto csr = core_.one_time_vault->make_certificate_request(about.key, about.person, *name);
  if (!csr) return csr.error();
  const auto now = core_.clock->now();
  const auto spki_digest = encode_base64url(public_key->thumbprint());
  auto stored = core_.database.write([&](storage::Transaction& write) -> Status {
    const custody::KeyRecord record{.id = about.key,
                                    .owner = about.person,
                                    .holder = about.transaction.nonce,
                                    .state = custody::KeyState::generated,
                                    .algorithm = algorithm,
                                    .spki = public_key->spki(),
                                    .profile = about.profile->name,
                                    .created = now,
                                    .certificates = {},
                                    .revoked = false,
                                    .suspended_because = {}};
    if (auto inserted = core_.keys.insert(write, record); !inserted) return inserted;
    auto generated = core_.log.append(write, Event{.type = EventType::key_generated,
                                                   .actor = "signer:" + about.person.text(),
                                                   .subject = about.key.text(),
                                                   .outcome = Outcome::success,
                                                   .fields = {{"algorithm", std::string(name_of(algorithm))},
                                                              {"spki", spki_digest},
                                                              {"profile", about.profile->name},
                                                              {"authorisation", encode_base64url(about.transaction.nonce)}}});
    if (!generated) return generated.error();
    auto possession = core_.log.append(write, Event{.type = EventType::proof_of_possession_signed,
                                                    .actor = "signer:" + about.person.text(),
                                                    .subject = about.key.text(),
                                                    .outcome = Outcome::success,
                                                    .fields = {{"csr", encode_base64url(crypto::sha256(*csr))}}});
    return possession ? Status() : Status(possession.error());
  });
  if (!stored) return stored.error();
  signing_.count_audited_signature();

  const json::Value assertion = {{"signer", about.person.text()},
                                 {"key", about.key.text()},
                                 {"spki_sha256", spki_digest},
                                 {"csr_sha256", encode_base64url(crypto::sha256(*csr))},
                                 {"identity", about.subject.record()},
                                 {"profile", about.profile->one_time->certificate_profile},
                                 {"session", encode_base64url(about.session)},
                                 {"iat", unix_seconds(now)}};
  auto kid = crypto::jwk_thumbprint(core_.identity_key->public_key());
  if (!kid) return kid.error();
  auto signed_assertion = crypto::make_jws(*core_.identity_key, "intaglio-one-time-key+jwt", *kid, json::encode(assertion));
  if (!signed_assertion) return signed_assertion.error();
  assertion_ = *signed_assertion;
  public_key_ = *std::move(public_key);
  return protocol::KeyGenerated{.key = about.key, .csr = *std::move(csr), .key_assertion = *std::move(signed_assertion)};
}

Result<protocol::KeyGenerated> OneTimeSession::identify(std::string_view sap_message) {
  if (refused_by("sam.one-time.identified-once", state_ != State::fresh))
    return Error{ErrorCode::conflict, "this session has begun already"};
  state_ = State::over;
  if (auto ready = core_.ready(); !ready) return ready.error();
  if (core_.one_time_vault == nullptr) return Error{ErrorCode::unsupported, "no token of this SAM serves one-time custody"};
  auto message = open_message(core_, protocol::Purpose::one_time, sap_message);
  if (!message) return message.error();
  const auto refuse = [&](const Error& error) {
    record_refusal(core_, *message, error);
    return error;
  };
  // Consumed by every attempt, right or wrong.
  auto consumed = core_.database.write(
      [&](storage::Transaction& write) { return core_.factors.consume(write, "message", message->id, message->transaction.expires); });
  if (!consumed) return refuse(consumed.error());
  IdentityProof proof{};
  auto identified = verify(*message, proof);
  if (!identified) return refuse(identified.error());
  if (auto claimed = claim(*message, *identified, proof); !claimed) return refuse(claimed.error());
  // The claim made the key this session's; the sweep looks at keys with a record only, and it has none yet.
  live_.add(identified->key);
  identified_ = *std::move(identified);
  end_ = core_.clock->now() + identified_->profile->one_time->session;
  steady_end_ = std::chrono::steady_clock::now() + identified_->profile->one_time->session;
  fault_point("sam.one-time.claimed");
  auto made = make_key();
  if (!made) {
    if (auto ended = end("it could not be made", /*released=*/false); !ended)
      log::refusal("one_time.not_ended", ended.error(), {{"key", message->transaction.key}});
    return refuse(made.error());
  }
  state_ = State::identified;
  fault_point("sam.one-time.identified");
  return made;
}

Status OneTimeSession::check_certificate(const std::vector<crypto::Certificate>& chain) const {
  const auto& leaf = chain.front();
  const auto now = core_.clock->now();
  auto key = leaf.public_key();
  if (!key) return key.error();
  if (refused_by("sam.one-time.spki", key->spki() != public_key_->spki())) return refuse_certificate("the certificate is for another key");
  const std::vector<crypto::Certificate> intermediates(chain.begin() + 1, chain.end());
  // Every certificate of the path, the leaf too, is valid now or there is no path.
  if (auto path = crypto::verify_chain(leaf, intermediates, core_.policy.ca_anchors(), now); refused_by("sam.one-time.path", !path))
    return refuse_certificate(path.error().detail);
  if (refused_by("sam.one-time.issuer", !core_.revocations->knows_issuer(leaf)))
    return refuse_certificate("its issuer is no CA of the policy: no list that revokes it would be taken");
  if (core_.revocations->contains(leaf)) return refuse_certificate("the certificate is revoked");
  if (auto policy = core_.policy.algorithms().may_certify(key->algorithm(), now); !policy) return policy;
  if (refused_by("sam.one-time.subject", !is_subject(identified_->subject, leaf.subject_der())))
    return refuse_certificate("the certificate's subject is not the person whom the identity provider named");
  auto facts = crypto::inspect(leaf);
  if (!facts) return refuse_certificate(facts.error().detail);
  const bool short_term = facts->extension(oid_short_term) != nullptr && leaf.not_after() - leaf.not_before() <= longest_validity;
  if (refused_by("sam.one-time.short-term", !short_term))
    return refuse_certificate("the certificate is not a short-term one: nobody would revoke it");
  return {};
}

Result<protocol::Transaction> OneTimeSession::compose(const crypto::Certificate& leaf) const {
  auto transaction = identified_->transaction;
  const auto fingerprint = leaf.fingerprint();
  transaction.purpose = protocol::Purpose::sign;
  transaction.signer = identified_->person.text();
  transaction.certificate_digest = to_bytes(ByteView(fingerprint));
  const auto hash = static_cast<crypto::HashAlgorithm>(transaction.hash);
  for (auto& document : transaction.documents) {
    auto attributes = crypto::cms_signed_attributes(document.digest, hash, leaf);
    if (!attributes) return attributes.error();
    document.digest = crypto::digest(hash, *attributes);
  }
  return transaction;
}

Result<std::string> OneTimeSession::authorise(const std::vector<crypto::Certificate>& chain, const protocol::Transaction& transaction) {
  const auto& about = *identified_;
  const auto now = core_.clock->now();
  Authorisation authorisation{.nonce = transaction.nonce,
                              .transaction = transaction,
                              .consent = about.consent,
                              .terms = about.terms,
                              .act = about.act,
                              .sad = {},
                              .issued = now,
                              .expires = std::min<UnixTime>(now + about.profile->sad_lifetime, end_)};
  auto sad = make_sad(core_, authorisation, {"id-token"}, nullptr);
  if (!sad) return sad.error();
  authorisation.sad = crypto::sha256(as_bytes(*sad));
  auto written = core_.database.write([&](storage::Transaction& write) -> Status {
    auto key = core_.keys.find(write, about.key);
    if (!key) return key.error();
    if (refused_by("sam.one-time.generated", !*key || (*key)->record.state != custody::KeyState::generated))
      return Error{ErrorCode::credential_disabled, "the key was ended meanwhile"};
    if (auto fresh = core_.revocations->refresh(write, core_.sealer, chain.front().issuer_der()); !fresh) return fresh;
    if (refused_by("sam.one-time.crl", core_.revocations->contains(chain.front()))) return refuse_certificate("the certificate is revoked");
    (*key)->record.state = custody::KeyState::assigned;
    (*key)->record.certificates.clear();
    for (const auto& certificate : chain) (*key)->record.certificates.push_back(certificate.der());
    if (auto updated = core_.keys.update(write, **key); !updated) return updated;
    auto bound = core_.log.append(write, Event{.type = EventType::certificate_bound,
                                               .actor = "sam:" + core_.node,
                                               .subject = about.key.text(),
                                               .outcome = Outcome::success,
                                               .fields = {{"certificate", encode_base64url(chain.front().fingerprint())},
                                                          {"not_after", format_utc(chain.front().not_after())},
                                                          {"request", encode_base64url(crypto::sha256(as_bytes(assertion_)))}}});
    if (!bound) return bound.error();
    if (auto stored = store_authorisation(core_, write, authorisation, nullptr); !stored) return stored;
    auto granted =
        core_.log.append(write, Event{.type = EventType::authorisation_granted,
                                      .actor = "signer:" + about.person.text(),
                                      .subject = about.key.text(),
                                      .outcome = Outcome::success,
                                      .fields = {{"authorisation", encode_base64url(authorisation.nonce)},
                                                 {"list", encode_base64url(protocol::list_digest(transaction.documents))},
                                                 {"count", std::to_string(transaction.documents.size())},
                                                 {"binding", encode_base64url(about.session)},
                                                 {"certificate", encode_base64url(transaction.certificate_digest)},
                                                 {"terms", about.terms.id + "/" + about.terms.version + "/" + about.terms.language},
                                                 {"act", about.act},
                                                 {"methods", "id-token"},
                                                 {"client", transaction.client_id},
                                                 {"sad", encode_base64url(authorisation.sad)}}});
    return granted ? Status() : Status(granted.error());
  });
  if (!written) return written.error();
  return sad;
}

Result<protocol::SignAnswer> OneTimeSession::sign_now(const protocol::OneTimeCertificate& certificate) {
  if (auto ready = core_.ready(); !ready) return ready.error();
  if (refused_by("sam.one-time.deadline", core_.clock->now() >= end_ || std::chrono::steady_clock::now() >= steady_end_))
    return Error{ErrorCode::ticket_expired, "the session is over"};
  std::vector<crypto::Certificate> chain;
  for (const auto& der : certificate.certificates) {
    auto parsed = crypto::Certificate::parse_der(der);
    if (!parsed) return refuse_certificate("a certificate cannot be read: " + parsed.error().detail);
    chain.push_back(*std::move(parsed));
  }
  if (chain.empty()) return refuse_certificate("no certificate");
  if (auto checked = check_certificate(chain); !checked) return checked.error();
  auto transaction = compose(chain.front());
  if (!transaction) return transaction.error();
  auto sad = authorise(chain, *transaction);
  if (!sad) return sad.error();
  fault_point("sam.one-time.authorised");
  protocol::SignRequest request{.sad = *std::move(sad),
                                .key = identified_->key,
                                .suite = static_cast<crypto::SignatureSuite>(transaction->suites.front()),
                                .digests = {},
                                .client_id = transaction->client_id,
                                .client_address = certificate.client_address};
  for (const auto& document : transaction->documents) request.digests.push_back(document.digest);
  auto answer = signing_.sign(request);
  if (answer && answer->stopped) return Error{*answer->stopped, "the token stopped before every document was signed"};
  return answer;
}

Result<audit::EntryReference> OneTimeSession::end(std::string_view reason, bool released) {
  auto ended = end_key(core_, {.key = identified_->key,
                               .actor = "sam:" + core_.node,
                               .reason = std::string(reason),
                               .authorisation = encode_base64url(identified_->transaction.nonce),
                               .released = released});
  // What could not be ended now is left to the sweep.
  if (!ended) return ended.error();
  live_.remove(identified_->key);
  identified_.reset();
  return ended;
}

Result<protocol::OneTimeSigned> OneTimeSession::sign(const protocol::OneTimeCertificate& certificate) {
  if (!identified_) return Error{ErrorCode::conflict, "nobody has identified himself in this session, or it is over"};
  if (refused_by("sam.one-time.signed-once", state_ != State::identified))
    return Error{ErrorCode::conflict, "this session has signed or was refused"};
  state_ = State::over;
  auto answer = sign_now(certificate);
  if (!answer) {
    const auto& transaction = identified_->transaction;
    auto recorded = core_.log.record(Event{.type = EventType::authorisation_refused,
                                           .actor = "signer:" + identified_->person.text(),
                                           .subject = transaction.key,
                                           .outcome = Outcome::refused,
                                           .fields = {{"purpose", "one-time"},
                                                      {"reason", std::string(name_of(answer.error().code))},
                                                      {"authorisation", encode_base64url(transaction.nonce)},
                                                      {"client", transaction.client_id}}});
    if (!recorded) log::refusal("one_time.refusal_not_recorded", recorded.error());
  }
  fault_point("sam.one-time.signed");
  auto ended = end(answer ? "its session signed" : "its session was refused", static_cast<bool>(answer));
  if (!answer) return answer.error();
  // No signature leaves without the proof that nobody can make another with its key.
  if (!ended) return ended.error();
  return protocol::OneTimeSigned{.answer = *std::move(answer), .destroyed = {ended->log, ended->index, ended->leaf}};
}

}  // namespace intaglio::sam
