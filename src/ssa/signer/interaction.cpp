#include "ssa/signer/interaction.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jwe.h"
#include "json/json.h"
#include "ssa/csc/parameters.h"
#include "ssa/csc/refusal.h"
#include "ssa/signed_attributes.h"
#include "ssa/signer/open_request.h"

namespace intaglio::ssa::signer {
namespace {

using csc::refuse;

bool fits_purpose(std::string_view typ, protocol::Purpose purpose) {
  return typ == "intaglio-sap-" + std::string(protocol::name_of(purpose)) + "+jwe";
}

/// What the SAM refused of a SAP message. Its words are those of CSC, except where CSC would speak of a SAD.
http::Response refuse_message(const http::Request& request, const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_request:
    case ErrorCode::not_authorised:
    case ErrorCode::replayed:
      log::refusal("message.refused", error, {{"request", request.request_id}});
      return csc::answer(csc::invalid_parameter("message"));
    default: return refuse(request, error);
  }
}

http::Response json_of(const json::Value& body) { return http::json_answer(json::encode(body)); }

http::Response answer_opened(const protocol::Opened& opened) {
  json::Value body = json::Value::object();
  body["ticket"] = opened.ticket;
  body["transaction"] = encode_base64url(opened.transaction);
  body["sapStatement"] = opened.sap_statement;
  body["expires"] = format_utc(opened.expires);
  return json_of(body);
}

}  // namespace

http::Response Interaction::sam(const http::Request& request) const {
  auto publication = rooms_.keys->publication();
  return publication ? http::json_answer(std::move(*publication)) : refuse(request, publication.error());
}

http::Response Interaction::opened(const http::Request& request, const http::Principal& caller,
                                   const Result<protocol::Opened>& opened) const {
  if (!opened) return refuse(request, opened.error());
  // Kept before it is answered: a message for a transaction that is not kept is refused.
  const auto kept = rooms_.transactions->keep(opened->transaction, caller.id);
  if (!kept) return refuse(request, kept.error());
  log::info("transaction.opened", {{"request", request.request_id},
                                   {"client", caller.id},
                                   {"purpose", std::string(protocol::name_of(kept->purpose))},
                                   {"nonce", encode_base64url(kept->nonce)}});
  return answer_opened(*opened);
}

http::Response Interaction::open_transaction(const http::Request& request, const http::Principal& caller) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto parsed = parse_open_signing(request, *client);
  if (const auto* refusal = std::get_if<csc::Refusal>(&parsed)) return csc::answer(*refusal);
  const auto& open = std::get<protocol::OpenSigning>(parsed);

  const auto done = open_signing(*client, open, oauth::Origin::client);
  if (!done && done.error().code == ErrorCode::too_large) return csc::answer(csc::invalid_request("Numbers of signatures is too high"));
  return done ? answer_opened(done->opened) : refuse(request, done.error());
}

Result<Interaction::OpenedSigning> Interaction::open_signing(const oauth::Client& client, const protocol::OpenSigning& open,
                                                             oauth::Origin origin) const {
  const auto credential = rooms_.credentials->find(open.key);
  if (!credential) return credential.error();
  const auto& facts = (*credential)->facts;
  if (refused_by("ssa.open.client", !client.may_see(facts.signer))) {
    return Error{ErrorCode::credential_unknown, "the client may not use credentials of this signer"};
  }
  if (!(*credential)->enabled()) return Error{ErrorCode::credential_disabled, "the key is not assigned"};
  if ((*credential)->status(rooms_.clock->now()) != CertificateStatus::valid) {
    return Error{ErrorCode::certificate_invalid, "the certificate is not valid now"};
  }
  if (open.documents.size() > facts.max_documents) return Error{ErrorCode::too_large, "more documents than the profile allows"};
  if (rooms_.limits) {
    if (auto admitted = rooms_.limits->start_for(facts.signer, origin); !admitted) return admitted.error();
  }
  auto opened = rooms_.sam->open_signing(open);
  if (!opened) return opened.error();
  // Kept before it is answered: a message for a transaction that is not kept is refused.
  auto kept = rooms_.transactions->keep(opened->transaction, client.id.text());
  if (!kept) return kept.error();
  log::info("transaction.opened", {{"client", client.id.text()}, {"purpose", "sign"}, {"nonce", encode_base64url(kept->nonce)}});
  return OpenedSigning{std::move(*opened), std::move(kept->nonce)};
}

http::Response Interaction::open_one_time(const http::Request& request, const http::Principal& caller) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto parsed = parse_open_one_time(request, *client);
  if (const auto* refusal = std::get_if<csc::Refusal>(&parsed)) return csc::answer(*refusal);
  return opened(request, caller, rooms_.sam->open_one_time(std::get<protocol::OpenOneTime>(parsed)));
}

Result<Interaction::OpenedSigning> Interaction::open_requested(const oauth::Client& client, const oauth::CredentialRequest& asked,
                                                               oauth::Origin origin) const {
  protocol::OpenSigning open{asked.credential, asked.hash, {}, {}, client.id.text(), client.name};
  std::optional<crypto::Certificate> certificate;
  for (const auto& document : asked.documents) {
    if (document.kind == oauth::DigestKind::dtbsr) {
      open.documents.push_back({document.digest, document.label});
      continue;
    }
    if (!certificate) {
      const auto credential = rooms_.credentials->find(asked.credential);
      if (!credential) return credential.error();
      auto certificates = certificates_of(**credential);
      if (!certificates) return certificates.error();
      certificate = std::move(certificates->front());
    }
    auto attributes = signed_attributes(*certificate, asked.hash, document.digest);
    if (!attributes) return attributes.error();
    open.documents.push_back({std::move(attributes->digest), document.label});
  }
  return open_signing(client, open, origin);
}

http::Response Interaction::open_enrolment(const http::Request& request, const http::Principal& caller) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto parsed = parse_open_enrolment(request, *client);
  if (const auto* refusal = std::get_if<csc::Refusal>(&parsed)) return csc::answer(*refusal);
  return opened(request, caller, rooms_.sam->open_enrolment(std::get<protocol::OpenEnrolment>(parsed)));
}

http::Response Interaction::open_key(const http::Request& request, const http::Principal& caller) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto parsed = parse_open_key(request, *client);
  if (const auto* refusal = std::get_if<csc::Refusal>(&parsed)) return csc::answer(*refusal);
  return opened(request, caller, rooms_.sam->open_key_generation(std::get<protocol::OpenKeyGeneration>(parsed)));
}

http::Response Interaction::open_factor_change(const http::Request& request, const http::Principal& caller) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto parsed = parse_open_enrolment(request, *client);
  if (const auto* refusal = std::get_if<csc::Refusal>(&parsed)) return csc::answer(*refusal);
  return opened(request, caller, rooms_.sam->open_factor_change(std::get<protocol::OpenEnrolment>(parsed)));
}

http::Response Interaction::open_key_change(const http::Request& request, const http::Principal& caller, protocol::KeyChange change) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  auto parameters = csc::Parameters::of(request);
  const auto text = parameters.required_text("credentialID");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  auto key = KeyId::parse(text);
  if (!key) return csc::answer(csc::invalid_parameter("credentialID"));
  const auto credential = rooms_.credentials->find(*key);
  if (!credential) return refuse(request, credential.error());
  if (refused_by("ssa.change.client", !client->may_see((*credential)->facts.signer))) {
    return refuse(request, {ErrorCode::credential_unknown, "the client may not use credentials of this signer"});
  }
  return opened(request, caller, rooms_.sam->open_key_change({std::move(*key), change, client->id.text(), client->name}));
}

http::Response Interaction::open_grant(const http::Request& request, const http::Principal& caller) const {
  const auto* client = client_of(caller);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto parsed = parse_open_grant(request, *client);
  if (const auto* refusal = std::get_if<csc::Refusal>(&parsed)) return csc::answer(*refusal);
  const auto& open = std::get<protocol::OpenGrant>(parsed);
  const auto credential = rooms_.credentials->find(open.key);
  if (!credential) return refuse(request, credential.error());
  if (refused_by("ssa.grant.client", !client->may_see((*credential)->facts.signer))) {
    return refuse(request, {ErrorCode::credential_unknown, "the client may not use credentials of this signer"});
  }
  return opened(request, caller, rooms_.sam->open_grant(open));
}

http::Response Interaction::end_grant(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto grant = parameters.required_text("grant");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  if (!KeyId::parse(grant)) return csc::answer(csc::invalid_parameter("grant"));
  // Whoever knows the id may: it fails safe, and those who know it are the signer, his client and the log.
  const auto ended = rooms_.sam->end_grant(grant, "client " + caller.id);
  if (!ended)
    return ended.error().code == ErrorCode::not_found ? csc::answer(csc::invalid_parameter("grant")) : refuse(request, ended.error());
  log::info("grant.ended", {{"request", request.request_id}, {"client", caller.id}, {"grant", grant}});
  return json_of({{"grant", grant}, {"state", "ended"}});
}

http::Response Interaction::open_suspension(const http::Request& request, const http::Principal& caller) const {
  return open_key_change(request, caller, protocol::KeyChange::suspend);
}

http::Response Interaction::open_destruction(const http::Request& request, const http::Principal& caller) const {
  return open_key_change(request, caller, protocol::KeyChange::destroy);
}

std::variant<KeptTransaction, http::Response> Interaction::open_one(const http::Request& request, std::string_view message,
                                                                    std::string_view client) const {
  if (message.size() > protocol::max_message_bytes) return csc::answer(csc::invalid_parameter("message"));
  // The header is public; what it says is proved only when the SAM opens the message.
  const auto header = crypto::peek_jwe_header(message);
  if (!header) return csc::answer(csc::invalid_parameter("message"));
  auto kept = rooms_.transactions->find(header->apu);
  if (!kept) {
    return kept.error().code == ErrorCode::not_found ? csc::answer(csc::invalid_parameter("message")) : refuse(request, kept.error());
  }
  if (refused_by("ssa.message.client", kept->client != client)) return csc::answer(csc::invalid_parameter("message"));
  if (refused_by("ssa.message.purpose", !fits_purpose(header->typ, kept->content.purpose))) {
    return csc::answer(csc::invalid_parameter("message"));
  }
  if (refused_by("ssa.message.expired", rooms_.clock->now() >= kept->content.expires)) {
    return refuse(request, {ErrorCode::ticket_expired, "the transaction is expired"});
  }
  if (refused_by("ssa.message.answered", kept->state != TransactionState::open)) {
    return refuse(request, {ErrorCode::ticket_invalid, "a message of this transaction was answered"});
  }
  return std::move(*kept);
}

std::variant<Interaction::Authorised, http::Response> Interaction::authorise(const http::Request& request, std::string_view message,
                                                                             std::string_view client, ByteView nonce) const {
  auto found = open_one(request, message, client);
  if (auto* refusal = std::get_if<http::Response>(&found)) return std::move(*refusal);
  const auto& kept = std::get<KeptTransaction>(found);
  const bool same = std::equal(nonce.begin(), nonce.end(), kept.content.nonce.begin(), kept.content.nonce.end());
  if (refused_by("ssa.approval.transaction", !same) || kept.content.purpose != protocol::Purpose::sign) {
    return csc::answer(csc::invalid_parameter("message"));
  }
  return relay_sign(request, message, kept);
}

http::Response Interaction::relay_message(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto message = parameters.required_text("message");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  auto found = open_one(request, message, caller.id);
  if (auto* refusal = std::get_if<http::Response>(&found)) return std::move(*refusal);
  const auto* kept = &std::get<KeptTransaction>(found);
  switch (kept->content.purpose) {
    case protocol::Purpose::sign: {
      auto authorised = relay_sign(request, message, *kept);
      if (auto* refusal = std::get_if<http::Response>(&authorised)) return std::move(*refusal);
      const auto& sad = std::get<Authorised>(authorised);
      return json_of({{"SAD", sad.sad}, {"expiresIn", sad.expires_in.count()}});
    }
    case protocol::Purpose::enrol: return relay_enrol(request, message, *kept);
    case protocol::Purpose::key: return relay_key(request, message, *kept);
    case protocol::Purpose::factors: return relay_factors(request, message, *kept);
    case protocol::Purpose::one_time: return relay_one_time(request, message, *kept);
    case protocol::Purpose::grant: return relay_grant(request, message, *kept);
    case protocol::Purpose::suspend:
    case protocol::Purpose::destroy: return relay_key_change(request, message, *kept);
  }
  panic("a transaction without a purpose");
}

/// What the SAM did stands: its answer goes out even if our own note of it fails.
void Interaction::note_answered(const http::Request& request, const KeptTransaction& kept) const {
  if (const auto noted = rooms_.transactions->answered(kept.content.nonce, std::nullopt); !noted) {
    log::refusal("transaction.not_noted", noted.error(), {{"request", request.request_id}});
  }
}

void Interaction::note_locked(const Error& error, const KeptTransaction& kept) const {
  if (error.code != ErrorCode::credential_locked || !rooms_.news.factors_locked) return;
  if (const auto signer = SignerId::parse(kept.content.signer)) rooms_.news.factors_locked(*signer);
}

std::variant<Interaction::Authorised, http::Response> Interaction::relay_sign(const http::Request& request, std::string_view message,
                                                                              const KeptTransaction& kept) const {
  auto authorised = rooms_.sam->authorise(message);
  if (!authorised) note_locked(authorised.error(), kept);
  if (!authorised) return refuse_message(request, authorised.error());
  const auto claims = rooms_.filter->read(authorised->sad);
  if (!claims) return refuse(request, {ErrorCode::internal, "the SAM's SAD: " + claims.error().detail});
  const auto stored = rooms_.transactions->answered(kept.content.nonce, IssuedSad{claims->jti, kept.content.nonce, claims->expires});
  if (!stored) return refuse(request, stored.error());
  log::info("transaction.authorised", {{"request", request.request_id}, {"nonce", encode_base64url(kept.content.nonce)}});
  return Authorised{std::move(authorised->sad), claims->signer, authorised->expires_in, claims->expires};
}

http::Response Interaction::relay_grant(const http::Request& request, std::string_view message, const KeptTransaction& kept) const {
  const auto granted = rooms_.sam->authorise(message);
  if (!granted) return refuse_message(request, granted.error());
  note_answered(request, kept);
  return json_of({{"grant", encode_base64url(kept.content.nonce)}, {"statement", granted->sad}});
}

http::Response Interaction::relay_enrol(const http::Request& request, std::string_view message, const KeptTransaction& kept) const {
  const auto enrolled = rooms_.sam->enrol_factors(message);
  if (!enrolled) return refuse_message(request, enrolled.error());
  note_answered(request, kept);
  if (const auto signer = SignerId::parse(kept.content.signer); signer && rooms_.news.factors_enrolled) {
    rooms_.news.factors_enrolled(*signer);
  }
  json::Value body = json::Value::object();
  body["answer"] = enrolled->sealed_answer;
  return json_of(body);
}

http::Response Interaction::relay_one_time(const http::Request& request, std::string_view message, const KeptTransaction& kept) const {
  const auto outcome = run_session(*rooms_.sam, rooms_.issue_short_term, *rooms_.orphans, message, request.peer_address);
  // Whatever came of it: a message begins one session.
  note_answered(request, kept);
  if (!outcome) return refuse_message(request, outcome.error());
  log::info("session.signed", {{"request", request.request_id}, {"nonce", encode_base64url(kept.content.nonce)}});
  return answer_of(*outcome);
}

http::Response Interaction::relay_factors(const http::Request& request, std::string_view message, const KeptTransaction& kept) const {
  const auto changed = rooms_.sam->change_factors(message);
  if (!changed) note_locked(changed.error(), kept);
  if (!changed) return refuse_message(request, changed.error());
  note_answered(request, kept);
  if (const auto signer = SignerId::parse(kept.content.signer); signer && rooms_.news.factors_changed) {
    rooms_.news.factors_changed(*signer);
  }
  json::Value body = json::Value::object();
  body["answer"] = changed->sealed_answer;
  return json_of(body);
}

http::Response Interaction::relay_key_change(const http::Request& request, std::string_view message, const KeptTransaction& kept) const {
  const auto key = KeyId::parse(kept.content.key);
  if (!key) return refuse(request, {ErrorCode::internal, "a kept transaction names no key"});
  const auto changed = rooms_.sam->change_key(message);
  rooms_.credentials->forget(*key);
  if (!changed) return refuse_message(request, changed.error());
  note_answered(request, kept);
  const bool suspended = kept.content.purpose == protocol::Purpose::suspend;
  const auto state = suspended ? protocol::KeyState::suspended : protocol::KeyState::destroyed;
  if (const auto signer = SignerId::parse(kept.content.signer); signer && rooms_.news.key_stopped) {
    rooms_.news.key_stopped(*signer, *key, state);
  }
  return json_of({{"credentialID", key->text()}, {"state", protocol::name_of(state)}});
}

http::Response Interaction::relay_key(const http::Request& request, std::string_view message, const KeptTransaction& kept) const {
  const auto signer = SignerId::parse(kept.content.signer);
  if (!signer) return refuse(request, {ErrorCode::internal, "a kept transaction names no signer"});
  const auto generated = rooms_.sam->generate_key(message);
  if (!generated && generated.error().code == ErrorCode::limit_exceeded) {
    // CSC's words are of signatures.
    log::refusal("message.refused", generated.error(), {{"request", request.request_id}});
    return csc::answer({429, "access_denied", "The signer has, or made today, as many keys as are allowed"});
  }
  if (!generated) return refuse_message(request, generated.error());
  if (const auto pending = rooms_.key_generated(*generated, *signer); !pending) return refuse(request, pending.error());
  note_answered(request, kept);
  return json_of({{"credentialID", generated->key.text()}, {"csr", encode_base64(generated->csr)}});
}

http::Response Interaction::receipt(const http::Request& request, std::string_view index) const {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), number);
  if (error != std::errc{} || end != index.data() + index.size()) return csc::answer(csc::invalid_parameter("index"));
  const auto text = http::form_value(request.query, "leaf");
  const auto bytes = text ? parse_base64url(*text) : text.error();
  crypto::Sha256Digest leaf{};
  if (!bytes || bytes->size() != leaf.size()) return csc::answer(csc::invalid_parameter("leaf"));
  std::copy(bytes->begin(), bytes->end(), leaf.begin());
  auto receipt = rooms_.sam->receipt(number, leaf);
  return receipt ? http::json_answer(std::move(*receipt)) : refuse(request, receipt.error());
}

}  // namespace intaglio::ssa::signer
