#include "ssa/signer/document_signing.h"

#include "base/check.h"
#include "base/log.h"
#include "json/json.h"
#include "oauth/access_token.h"
#include "protocol/text.h"
#include "ssa/csc/parameters.h"
#include "ssa/csc/refusal.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::chrono::minutes link_life{5};
/// Stands in the place of the parameters of an authorization request, among which there is none of this name.
constexpr std::string_view document_prefix = "document_signing=";
constexpr std::string_view page_name = "sign";

http::Response uncached(const json::Value& body) {
  auto response = http::json_answer(json::encode(body));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

/// What waits for the page: a key and how it will sign, and, once the transaction is open, what it will sign.
struct Work {
  KeyId credential;
  crypto::SignatureSuite suite;
  Bytes digest;  ///< empty before the transaction is open
};

std::string encode_work(const KeyId& credential, crypto::SignatureSuite suite, ByteView digest) {
  return std::string(document_prefix) + credential.text() + " " + std::string(crypto::name_of(suite)) + " " + encode_hex(digest);
}

Error another_kind() { return {ErrorCode::not_authorised, "the bearer is for something else than a document on the page"}; }

Result<Work> parse_work(const oauth::PendingApproval& pending) {
  if (!DocumentSigning::holds(pending)) return another_kind();
  const auto text = std::string_view(pending.request).substr(document_prefix.size());
  const auto first = text.find(' ');
  const auto second = first == std::string_view::npos ? first : text.find(' ', first + 1);
  if (second == std::string_view::npos) return another_kind();
  auto key = KeyId::parse(std::string(text.substr(0, first)));
  if (!key) return key.error();
  const auto suite = crypto::parse_suite(text.substr(first + 1, second - first - 1));
  if (!suite) return suite.error();
  auto digest = parse_hex(text.substr(second + 1));
  if (!digest) return digest.error();
  return Work{std::move(*key), *suite, std::move(*digest)};
}

/// What the page's bearer stands for.
struct Held {
  std::string_view bearer;  ///< of the request
  oauth::PendingApproval pending;
  Work work;
};

Result<Held> held(oauth::AuthorizationEndpoint& authorization, const http::Request& request) {
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return bearer.error();
  auto pending = authorization.find(*bearer);
  if (!pending) return pending.error();
  auto work = parse_work(*pending);
  if (!work) return work.error();
  return Held{*bearer, std::move(*pending), std::move(*work)};
}

/// `https://host/approve#handle`: the pages of a bundle stand beside each other.
Result<std::string> beside(const std::string& approval) {
  const auto fragment = approval.find('#');
  const auto slash = approval.rfind('/', fragment);
  if (fragment == std::string::npos || slash == std::string::npos) return Error{ErrorCode::internal, "the page has no address"};
  return approval.substr(0, slash + 1) + std::string(page_name) + approval.substr(fragment);
}

http::Response refuse_bearer(const http::Request& request, const Error& error) {
  if (error.code == ErrorCode::not_found) return csc::answer({401, "invalid_token", "The document was finished"});
  if (error.code == ErrorCode::not_authorised) return csc::answer({401, "invalid_token", "The bearer is not for this method"});
  return csc::refuse(request, error);
}

}  // namespace

bool DocumentSigning::holds(const oauth::PendingApproval& pending) {
  return std::string_view(pending.request).starts_with(document_prefix);
}

Result<std::shared_ptr<const Credential>> DocumentSigning::usable(const KeyId& key, std::string_view client_id) const {
  const auto* client = rooms_.clients->find(client_id);
  if (client == nullptr) return Error{ErrorCode::internal, "an admitted client is not registered"};
  auto credential = rooms_.credentials->find(key);
  if (!credential) return credential.error();
  if (refused_by("ssa.document.client", !client->may_see((*credential)->facts.signer))) {
    return Error{ErrorCode::credential_unknown, "the client may not use credentials of this signer"};
  }
  if (!(*credential)->enabled()) return Error{ErrorCode::credential_disabled, "the key is not assigned"};
  if ((*credential)->status(rooms_.clock->now()) != CertificateStatus::valid) {
    return Error{ErrorCode::certificate_invalid, "the certificate is not valid now"};
  }
  if ((*credential)->facts.suites.empty()) return Error{ErrorCode::algorithm_refused, "no suite is allowed for the key"};
  return credential;
}

http::Response DocumentSigning::begin(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto text = parameters.required_text("credentialID");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  auto key = KeyId::parse(text);
  if (!key) return csc::answer(csc::invalid_parameter("credentialID"));
  const auto credential = usable(*key, caller.id);
  if (!credential) return csc::refuse(request, credential.error());
  const auto approval = authorization_->begin(
      {caller.id, encode_work(*key, (*credential)->facts.suites.front(), {}), {}, {}, {}, {}, rooms_.clock->now() + link_life});
  if (!approval) return csc::refuse(request, approval.error());
  const auto page = beside(*approval);
  if (!page) return csc::refuse(request, page.error());
  return uncached({{"page", *page}, {"expires_in", std::chrono::seconds(link_life).count()}});
}

http::Response DocumentSigning::exchange(const http::Request& request) const {
  auto parameters = csc::Parameters::of(request);
  const auto handle = parameters.required_text("handle");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto exchanged = authorization_->exchange(handle);
  if (!exchanged && exchanged.error().code == ErrorCode::not_found) return csc::answer(csc::invalid_parameter("handle"));
  if (!exchanged) return csc::refuse(request, exchanged.error());
  const auto work = parse_work(exchanged->pending);
  if (!work) return refuse_bearer(request, work.error());
  const auto credential = usable(work->credential, exchanged->pending.client);
  if (!credential) return csc::refuse(request, credential.error());
  json::Value body = json::Value::object();
  body["bearer"] = exchanged->bearer;
  body["credentialID"] = work->credential.text();
  body["suite"] = crypto::name_of(work->suite);
  body["certificates"] = json::Value::array();
  for (const auto& certificate : (*credential)->facts.certificates) body["certificates"].push_back(encode_base64url(certificate));
  body["expires"] = format_utc(exchanged->pending.expires);
  return uncached(body);
}

http::Response DocumentSigning::open(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto text = parameters.required_text("hash");
  const auto label = parameters.required_text("label");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto page_holds = held(*authorization_, request);
  if (!page_holds) return refuse_bearer(request, page_holds.error());
  const auto& work = page_holds->work;
  // A link is for one document: what was opened is not exchanged for another.
  if (refused_by("ssa.document.open_once", !work.digest.empty())) return refuse_bearer(request, another_kind());
  const auto hash = crypto::hash_of(work.suite);
  auto digest = parse_base64url(text);
  if (!digest || digest->size() != crypto::digest_length(hash)) return csc::answer(csc::invalid_parameter("hash"));
  if (!protocol::check_text(label, protocol::max_label_bytes, "label")) return csc::answer(csc::invalid_parameter("label"));
  const auto* client = rooms_.clients->find(caller.id);
  if (client == nullptr) return csc::refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  auto done = interaction_.open_signing(*client, {work.credential, hash, {work.suite}, {{*digest, label}}, caller.id, client->name},
                                        oauth::Origin::client);
  if (!done) return csc::refuse(request, done.error());
  const auto& opened = done->opened;
  json::Value body = json::Value::object();
  body["ticket"] = opened.ticket;
  body["transaction"] = encode_base64url(opened.transaction);
  body["sapStatement"] = opened.sap_statement;
  const auto page = authorization_->begin({caller.id, encode_work(work.credential, work.suite, *digest), opened.ticket,
                                           opened.sap_statement, opened.transaction, std::move(done->nonce), opened.expires});
  if (!page) return csc::refuse(request, page.error());
  const auto exchanged = authorization_->exchange(page->substr(page->find('#') + 1));
  if (!exchanged) return csc::refuse(request, exchanged.error());
  // Of two at once one is answered.
  const auto finished = authorization_->finish(page_holds->bearer, [](storage::Transaction&) -> Status { return {}; });
  if (!finished) return refuse_bearer(request, finished.error());
  body["bearer"] = exchanged->bearer;
  return uncached(body);
}

http::Response DocumentSigning::sign(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto message = parameters.required_text("message");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto page_holds = held(*authorization_, request);
  if (!page_holds) return refuse_bearer(request, page_holds.error());
  const auto& work = page_holds->work;
  if (work.digest.empty()) return refuse_bearer(request, another_kind());
  auto authorised = interaction_.authorise(request, message, caller.id, page_holds->pending.nonce);
  if (auto* refusal = std::get_if<http::Response>(&authorised)) return std::move(*refusal);
  auto& given = std::get<Interaction::Authorised>(authorised);
  const auto signatures =
      signing_->sign(request, {caller.id, {}, {}}, {std::move(given.sad), work.credential, work.suite, {work.digest}, {}});
  if (!signatures) return signing_->refuse_use(request, work.credential, signatures.error());
  // The signature exists: it is handed out whatever becomes of the note that the link is used up, which its expiry ends as well.
  const auto finished = authorization_->finish(page_holds->bearer, [](storage::Transaction&) -> Status { return {}; });
  if (!finished) log::refusal("document.not_noted", finished.error(), {{"request", request.request_id}});
  log::info("document.signed", {{"request", request.request_id}, {"client", caller.id}});
  json::Value body = json::Value::object();
  body["signature"] = encode_base64url(signatures->front().signature);
  body["auditReceipts"] = csc::audit_receipts(*signatures);
  return uncached(body);
}

}  // namespace intaglio::ssa::signer
