#include "registration/endpoints.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "registration/enrolment_view.h"
#include "registration/refusal.h"

namespace intaglio::registration {
namespace {

using http::Access;
using http::PathParameters;
using http::Request;
using http::Response;

constexpr std::size_t max_reason_length = 64;

Response json_of(const json::Value& body) { return http::json_answer(json::encode(body)); }

json::Value chain_of(const std::vector<Bytes>& certificates) {
  auto chain = json::Value::array();
  for (const auto& der : certificates) chain.push_back(encode_base64(der));
  return chain;
}

Result<json::Value> body_of(const Request& request) {
  json::Bounds bounds;
  bounds.max_bytes = std::max<std::size_t>(request.body.size(), 1);
  auto body = json::parse(request.body, bounds);
  if (!body) return body.error();
  if (!body->is_object()) return Error{ErrorCode::invalid_request, "the body is not a JSON object"};
  return body;
}

/// The member `request` of a body: an operator's request for `op`.
Result<OperatorRequest> operator_request(const Request& request, std::string_view op) {
  const auto body = body_of(request);
  if (!body) return body.error();
  const auto compact = json::text_member(*body, "request", protocol::max_message_bytes);
  if (!compact) return compact.error();
  return parse_operator_request(*compact, op);
}

Result<KeyId> key_member(const json::Value& payload, std::string_view name) {
  const auto text = json::text_member(payload, name);
  if (!text) return text.error();
  return KeyId::parse(*text);
}

/// Of a certificate that the SAM took; nothing where it does not parse here.
std::optional<UnixTime> end_of(ByteView der) {
  const auto certificate = crypto::Certificate::parse_der(der);
  return certificate ? std::optional<UnixTime>(certificate->not_after()) : std::nullopt;
}

/// A hold is a suspension; every other reason is for good.
EnrolmentState state_after(const json::Value& payload) {
  const auto reason = json::text_member(payload, "reason", max_reason_length);
  return reason && *reason == "certificateHold" ? EnrolmentState::suspended : EnrolmentState::revoked;
}

/// How well the person was identified, where the operator says so (CIR 2015/1502, 2.1.2).
Status check_level(const json::Value& payload) {
  if (json::member(payload, "level") == nullptr) return {};
  const auto level = json::text_member(payload, "level", 16);
  if (level && (*level == "low" || *level == "substantial" || *level == "high")) return {};
  return Error{ErrorCode::invalid_request, "level is low, substantial or high"};
}

/// The answer to who enrolled a signer. The person's revocation code is told this once; where it cannot be kept there is none, and the
/// activation code, which nobody can show again, goes out all the same.
Response enrolled(const Request& request, RevocationCodes& codes, const protocol::SignerCreated& created,
                  const RevocationCodes::Drawn& code) {
  json::Value body{{"signerID", created.signer.text()}, {"activationCode", created.sealed_activation_code}};
  const json::WipeAtExit wiped(body);
  if (const auto kept = codes.keep(created.signer, code); kept) {
    body["revocationCode"] = as_text(code.text.reveal());
  } else {
    log::refusal("registration.no_revocation_code", kept.error(), {{"request", request.request_id}});
  }
  return json_of(body);
}

void note(std::string_view event, const Request& request, const OperatorRequest& asked, const KeyId& key) {
  log::info(event, {{"request", request.request_id}, {"operator", asked.operator_id}, {"credential", key.text()}});
}

}  // namespace

void Endpoints::add_routes(http::Router& router) {
  router.authorise_with(Access::operator_certificate, [](const Request& request) -> Result<http::Principal> {
    // The listener has verified the chain; which operator decides is in the signed request alone.
    if (refused_by("registration.certificate", request.peer_certificate.empty())) {
      return Error{ErrorCode::not_authorised, "no client certificate"};
    }
    if (request.peer_certificate.empty()) return http::Principal{};
    const auto certificate = crypto::Certificate::parse_der(request.peer_certificate);
    if (!certificate) return Error{ErrorCode::not_authorised, "the client certificate does not parse"};
    return http::Principal{certificate->subject(), {}, {}};
  });
  const auto post = [&](std::string_view path, Response (Endpoints::*handler)(const Request&) const) {
    router.add("POST", path, Access::operator_certificate,
               [this, handler](const Request& q, const PathParameters&) { return (this->*handler)(q); });
  };
  post("/ra/v1/signers", &Endpoints::create_signer);
  post("/ra/v1/resets", &Endpoints::reset_factors);
  router.add("GET", "/ra/v1/requests/{credentialID}", Access::operator_certificate,
             [this](const Request& q, const PathParameters& path) { return pending_request(q, path["credentialID"]); });
  post("/ra/v1/certificates", &Endpoints::issue_certificate);
  post("/ra/v1/bindings", &Endpoints::bind_certificate);
  post("/ra/v1/suspensions", &Endpoints::suspend);
  post("/ra/v1/resumptions", &Endpoints::resume);
  post("/ra/v1/revocations", &Endpoints::revoke);
  post("/ra/v1/releases", &Endpoints::release);
  router.add("GET", "/ra/v1/enrolments", Access::operator_certificate,
             [this](const Request& q, const PathParameters&) { return list_enrolments(*parts_.enrolments, q, parts_.clock->now()); });
  router.add("GET", "/ra/v1/enrolments/{signerID}", Access::operator_certificate,
             [this](const Request& q, const PathParameters& path) { return show_enrolment(*parts_.enrolments, q, path["signerID"]); });
}

Status Endpoints::check_second_person(bool wanted, const KeyId& key, const OperatorRequest& asked) const {
  if (!wanted) return {};
  const auto first = parts_.recorder->enrolled_by(key);
  if (!first) return first.error();
  // Who signed is verified where the request goes; that it is another person than before is decided here.
  if (refused_by("registration.second-person", first->empty() || *first == asked.operator_id)) {
    return Error{ErrorCode::not_authorised, "policy wants another operator than the one who enrolled the signer"};
  }
  return {};
}

Status Endpoints::check_going_on(bool second_person, const KeyId& key, const OperatorRequest& asked) const {
  if (auto on = parts_.recorder->may_go_on(key); !on) return on;
  return check_second_person(second_person, key, asked);
}

Result<std::optional<notice::Contact>> Endpoints::contact_of(const OperatorRequest& asked) const {
  const auto* const member = json::member(asked.payload, "contact");
  if (member == nullptr) return std::optional<notice::Contact>();
  if (!parts_.outbox) return Error{ErrorCode::invalid_request, "a contact, but no notices are configured"};
  auto contact = notice::parse_contact(*member);
  if (!contact) return contact.error();
  return std::optional<notice::Contact>(std::move(*contact));
}

/// The signer exists: a contact that cannot be kept is told in the log, and his codes go out all the same.
void Endpoints::keep_contact(const Request& request, const SignerId& signer, const OperatorRequest& asked,
                             const std::optional<notice::Contact>& contact) const {
  if (!contact) return;
  if (const auto kept = parts_.outbox->record_contact(signer, *contact, asked.operator_id); !kept) {
    log::refusal("registration.contact_lost", kept.error(), {{"request", request.request_id}, {"signer", signer.text()}});
  }
}

Response Endpoints::create_signer(const Request& request) const {
  const auto asked = operator_request(request, "create-signer");
  if (!asked) return refuse(request, asked.error());
  if (const auto level = check_level(asked->payload); !level) return refuse(request, level.error());
  const auto contact = contact_of(*asked);
  if (!contact) return refuse(request, contact.error());
  const auto code = RevocationCodes::draw();
  if (!code) return refuse(request, code.error());
  const auto created = parts_.sam->create_signer(asked->compact);
  if (!created) return refuse(request, created.error());
  log::info("registration.signer_created",
            {{"request", request.request_id}, {"operator", asked->operator_id}, {"signer", created->signer.text()}});
  keep_contact(request, created->signer, *asked, *contact);
  parts_.recorder->signer_enrolled(created->signer, *asked);
  return enrolled(request, *parts_.codes, *created, *code);
}

Response Endpoints::reset_factors(const Request& request) const {
  const auto asked = operator_request(request, "reset-factors");
  if (!asked) return refuse(request, asked.error());
  if (const auto level = check_level(asked->payload); !level) return refuse(request, level.error());
  const auto contact = contact_of(*asked);
  if (!contact) return refuse(request, contact.error());
  const auto code = RevocationCodes::draw();
  if (!code) return refuse(request, code.error());
  const auto reset = parts_.sam->reset_factors(asked->compact);
  if (!reset) return refuse(request, reset.error());
  log::info("registration.factors_reset",
            {{"request", request.request_id}, {"operator", asked->operator_id}, {"signer", reset->signer.text()}});
  // The keys ended: what is remembered of them is forgotten. The SAM refuses them whether or not we know.
  if (const auto keys = parts_.sam->list_credentials(reset->signer)) {
    for (const auto& facts : *keys) parts_.credential_changed(facts.key);
  }
  keep_contact(request, reset->signer, *asked, *contact);
  parts_.recorder->signer_enrolled(reset->signer, *asked);
  return enrolled(request, *parts_.codes, *reset, *code);
}

Response Endpoints::pending_request(const Request& request, std::string_view credential) const {
  const auto key = KeyId::parse(credential);
  if (!key) return refuse(request, {ErrorCode::not_found, "not a credential id"});
  const auto pending = parts_.requests->find(*key);
  if (!pending) return refuse(request, pending.error());
  json::Value body{{"credentialID", pending->key.text()},
                   {"signerID", pending->signer.text()},
                   {"csr", encode_base64(pending->csr)},
                   {"keyAssertion", pending->key_assertion}};
  if (!pending->certificates.empty()) body["certificates"] = chain_of(pending->certificates);
  return json_of(body);
}

Response Endpoints::issue_certificate(const Request& request) const {
  const auto asked = operator_request(request, "issue-certificate");
  if (!asked) return refuse(request, asked.error());
  const auto key = key_member(asked->payload, "key");
  if (!key) return refuse(request, key.error());
  if (const auto on = check_going_on(parts_.second_person.certify, *key, *asked); !on) return refuse(request, on.error());
  const auto pending = parts_.requests->find(*key);
  if (!pending) return refuse(request, pending.error());
  const auto digest = json::base64url_member(asked->payload, "csr_sha256", 32);
  const auto csr_digest = crypto::sha256(pending->csr);
  const bool same = digest && std::equal(digest->begin(), digest->end(), csr_digest.begin(), csr_digest.end());
  if (refused_by("registration.issue.csr", !same)) {
    return refuse(request, {ErrorCode::invalid_request, "the operator's request is for another certificate request"});
  }
  // A CA may let us wait. Until what it issues is kept, the same key is not asked for again: one of two certificates would stand in no record.
  const OneAtATime::Turn turn(*issuing_, key->text());
  if (refused_by("registration.issue.one", !turn)) {
    return refuse(request, {ErrorCode::conflict, "a certificate for this key is being asked for"});
  }
  const auto certificates = parts_.authority->issue(asked->compact, pending->key_assertion, pending->csr);
  if (!certificates) return refuse(request, certificates.error());
  if (const auto kept = parts_.requests->issued(*key, *certificates); !kept) return refuse(request, kept.error());
  note("registration.certificate_issued", request, *asked, *key);
  json::Value body = json::Value::object();
  body["certificates"] = chain_of(*certificates);
  return json_of(body);
}

Response Endpoints::bind_certificate(const Request& request) const {
  const auto asked = operator_request(request, "bind-certificate");
  if (!asked) return refuse(request, asked.error());
  const auto key = key_member(asked->payload, "key");
  if (!key) return refuse(request, key.error());
  if (const auto on = check_going_on(parts_.second_person.certify, *key, *asked); !on) return refuse(request, on.error());
  const auto pending = parts_.requests->find(*key);
  if (!pending) return refuse(request, pending.error());
  if (pending->certificates.empty()) return refuse(request, {ErrorCode::not_found, "no certificate was issued for this key"});
  const auto digest = json::base64url_member(asked->payload, "certificate_sha256", 32);
  const auto leaf_digest = crypto::sha256(pending->certificates.front());
  const bool same = digest && std::equal(digest->begin(), digest->end(), leaf_digest.begin(), leaf_digest.end());
  if (refused_by("registration.bind.certificate", !same)) {
    return refuse(request, {ErrorCode::invalid_request, "the operator's request is for another certificate"});
  }
  const auto bound = parts_.sam->bind_certificate({asked->compact, pending->certificates});
  if (!bound) return refuse(request, bound.error());
  parts_.credential_changed(bound->key);
  if (const auto on = stop_again(*key); !on) return refuse(request, on.error());
  note("registration.certificate_bound", request, *asked, *key);
  parts_.recorder->key_changed(*key, EnrolmentState::key_certified, &*asked, end_of(pending->certificates.front()));
  return json_of({{"credentialID", bound->key.text()}, {"state", protocol::name_of(bound->state)}});
}

Response Endpoints::suspend(const Request& request) const {
  const auto body = body_of(request);
  if (!body) return refuse(request, body.error());
  if (json::member(*body, "request") != nullptr) return suspend_by_operator(request);
  const auto key = key_member(*body, "credentialID");
  if (!key) return refuse(request, key.error());
  const auto reason = json::text_member(*body, "reason", max_reason_length);
  if (!reason || reason->empty()) return refuse(request, {ErrorCode::invalid_request, "a suspension needs a reason"});
  const auto suspended = parts_.sam->suspend_key(*key, *reason);
  if (!suspended) return refuse(request, suspended.error());
  parts_.credential_changed(*key);
  log::info("registration.key_suspended", {{"request", request.request_id}, {"credential", key->text()}});
  parts_.recorder->key_changed(*key, EnrolmentState::suspended, nullptr);
  return json_of({{"credentialID", key->text()}, {"state", protocol::name_of(protocol::KeyState::suspended)}});
}

Response Endpoints::suspend_by_operator(const Request& request) const {
  const auto asked = operator_request(request, "suspend-key");
  if (!asked) return refuse(request, asked.error());
  const auto key = key_member(asked->payload, "key");
  if (!key) return refuse(request, key.error());
  const auto suspended = parts_.sam->suspend_by_operator(asked->compact);
  if (!suspended) return refuse(request, suspended.error());
  parts_.credential_changed(*key);
  note("registration.key_suspended", request, *asked, *key);
  parts_.recorder->key_changed(*key, EnrolmentState::suspended, &*asked);
  return json_of({{"credentialID", key->text()}, {"state", protocol::name_of(protocol::KeyState::suspended)}});
}

Response Endpoints::resume(const Request& request) const {
  const auto asked = operator_request(request, "resume-key");
  if (!asked) return refuse(request, asked.error());
  const auto key = key_member(asked->payload, "key");
  if (!key) return refuse(request, key.error());
  if (const auto on = check_going_on(parts_.second_person.resume, *key, *asked); !on) return refuse(request, on.error());
  const auto resumed = parts_.sam->resume_key(asked->compact);
  if (!resumed) return refuse(request, resumed.error());
  parts_.credential_changed(*key);
  if (const auto on = stop_again(*key); !on) return refuse(request, on.error());
  note("registration.key_resumed", request, *asked, *key);
  parts_.recorder->key_changed(*key, EnrolmentState::key_certified, &*asked);
  return json_of({{"credentialID", key->text()}, {"state", protocol::name_of(protocol::KeyState::assigned)}});
}

/// A signer who gave his code while the SAM made this key sign found it stopped: the register, which his code changed first, decides.
Status Endpoints::stop_again(const KeyId& key) const {
  const auto on = parts_.recorder->may_go_on(key);
  if (!refused_by("registration.stopped_meanwhile", !on)) return {};
  const auto stopped = parts_.sam->suspend_key(key, "revocation code");
  parts_.credential_changed(key);
  return stopped ? on : stopped;
}

void Endpoints::stop_first(const Request& request, const KeyId& key) const {
  const auto stopped = parts_.sam->suspend_key(key, "emergency");
  parts_.credential_changed(key);
  // A key that is suspended already is refused here too; the revocation goes on in every case.
  if (!stopped) {
    return log::refusal("registration.key_not_stopped", stopped.error(), {{"request", request.request_id}, {"credential", key.text()}});
  }
  parts_.recorder->key_changed(key, EnrolmentState::suspended, nullptr);
}

Response Endpoints::revoke(const Request& request) const {
  const auto asked = operator_request(request, "revoke-certificate");
  if (!asked) return refuse(request, asked.error());
  const auto key = key_member(asked->payload, "key");
  if (!key) return refuse(request, key.error());
  const auto manner = parse_manner(asked->payload);
  if (!manner) return refuse(request, manner.error());
  if (const auto second = check_second_person(parts_.second_person.revoke && !manner->emergency, *key, *asked); !second) {
    return refuse(request, second.error());
  }
  if (manner->emergency) stop_first(request, *key);
  const auto crl = parts_.authority->revoke(asked->compact);
  if (!crl) return refuse(request, crl.error());
  parts_.recorder->key_changed(*key, state_after(asked->payload), &*asked);
  const auto told = *crl ? parts_.sam->put_revocation_data(**crl) : Status(Error{ErrorCode::busy, "the CA's list does not name it yet"});
  // The certificate is revoked and the SAM does not know: the key stops the short way, and the list follows with the next push.
  const auto stopped = told ? Status() : parts_.sam->suspend_key(*key, "revocation");
  parts_.credential_changed(*key);
  if (!stopped) {
    log::refusal("registration.key_not_stopped", stopped.error(), {{"request", request.request_id}, {"credential", key->text()}});
  }
  if (!told && (*crl || !stopped)) return refuse(request, told.error());
  note("registration.certificate_revoked", request, *asked, *key);
  return json_of({{"credentialID", key->text()}, {"state", "revoked"}});
}

Response Endpoints::release(const Request& request) const {
  const auto asked = operator_request(request, "release-certificate");
  if (!asked) return refuse(request, asked.error());
  const auto key = key_member(asked->payload, "key");
  if (!key) return refuse(request, key.error());
  if (const auto on = check_going_on(parts_.second_person.resume, *key, *asked); !on) return refuse(request, on.error());
  const auto crl = parts_.authority->release(asked->compact);
  if (!crl) return refuse(request, crl.error());
  const auto told = parts_.sam->put_revocation_data(*crl);
  parts_.credential_changed(*key);
  // Where the SAM does not know it yet the key stays stopped, and the list follows with the next push.
  if (!told) return refuse(request, told.error());
  note("registration.certificate_released", request, *asked, *key);
  return json_of({{"credentialID", key->text()}, {"state", "released"}});
}

}  // namespace intaglio::registration
