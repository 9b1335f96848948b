#include "oauth/authorization_endpoint.h"

#include "base/check.h"
#include "base/log.h"
#include "json/json.h"

namespace intaglio::oauth {
namespace {

http::Response redirect(std::string location) {
  http::Response response;
  response.status = 302;
  response.headers.emplace_back("Location", std::move(location));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

/// RFC 6749, 4.1.2.1: what went wrong behind the request, in the few words that there are.
std::string_view error_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::credential_unknown:
    case ErrorCode::credential_disabled:
    case ErrorCode::credential_locked:
    case ErrorCode::certificate_invalid:
    case ErrorCode::not_found:
    case ErrorCode::not_authorised: return "access_denied";
    case ErrorCode::invalid_request:
    case ErrorCode::too_large:
    case ErrorCode::unsupported:
    case ErrorCode::digest_length:
    case ErrorCode::algorithm_refused: return "invalid_request";
    case ErrorCode::limit_exceeded:
    case ErrorCode::busy:
    case ErrorCode::storage_unavailable:
    case ErrorCode::token_unavailable:
    case ErrorCode::audit_unavailable: return "temporarily_unavailable";
    default: return "server_error";
  }
}

}  // namespace

AuthorizationEndpoint::AuthorizationEndpoint(AuthorizationConfig config, std::shared_ptr<const Clients> clients,
                                             std::shared_ptr<const ClientAuthentication> authentication,
                                             std::shared_ptr<PendingRequests> pending, std::shared_ptr<Grants> grants,
                                             std::shared_ptr<storage::Database> database)
    : config_(std::move(config)),
      clients_(std::move(clients)),
      authentication_(std::move(authentication)),
      pending_(std::move(pending)),
      grants_(std::move(grants)),
      database_(std::move(database)) {}

http::Response AuthorizationEndpoint::push(const http::Request& request) const {
  constexpr std::string_view event = "pushed_request.refused";
  if (!has_form(request))
    return answer(request, event, invalid_request("The body of a pushed request is application/x-www-form-urlencoded"));
  const auto form = Form::parse(request.body);
  if (!form) return answer(request, event, invalid_request("A parameter is malformed or came twice"));
  const auto shown = ShownClient::read(request, *form);
  if (const auto* refusal = std::get_if<Refusal>(&shown)) return answer(request, event, *refusal);
  const auto authenticated = authentication_->verify(request, std::get<ShownClient>(shown));
  if (const auto* refusal = std::get_if<Refusal>(&authenticated)) return answer(request, event, *refusal);
  const auto& client = *std::get<const Client*>(authenticated);

  const auto target = parse_redirect_target(*form, client);
  if (const auto* refusal = std::get_if<Refusal>(&target)) return answer(request, event, *refusal);
  const auto parsed = parse_authorization_request(*form, std::get<RedirectTarget>(target), client, config_.issuer);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return answer(request, event, *refusal);
  const auto reference = pending_->push(client.id.text(), authorization_parameters(*form));
  if (!reference) {
    log::refusal("pushed_request.failed", reference.error(), {{"request", request.request_id}});
    return answer(request, event, temporarily_unavailable());
  }
  log::info("pushed_request.kept", {{"request", request.request_id}, {"client", client.id.text()}});
  return uncached(json::encode({{"request_uri", *reference}, {"expires_in", PendingRequests::pushed_life.count()}}), 201);
}

http::Response AuthorizationEndpoint::authorize(const http::Request& request, const OpenApproval& open) const {
  constexpr std::string_view event = "authorization.refused";
  const auto query = Form::parse(request.query);
  if (!query) return answer(request, event, invalid_request("A parameter is malformed or came twice"));
  const auto* id = query->find("client_id");
  if (id == nullptr) return answer(request, event, invalid_request("Missing parameter client_id"));
  const auto* client = clients_->find(*id);
  if (client == nullptr) return answer(request, event, invalid_request("Invalid parameter client_id"));

  std::optional<Form> pushed;
  if (const auto* reference = query->find("request_uri"); reference != nullptr) {
    // RFC 9126, 4: what was pushed is the whole request; what stands beside it is ignored.
    const auto parameters = pending_->take_pushed(*reference, *id);
    if (!parameters) return answer(request, event, invalid_request("Invalid parameter request_uri"));
    auto parsed = Form::parse(*parameters);
    if (!parsed) return answer(request, event, temporarily_unavailable());
    pushed.emplace(std::move(*parsed));
  }
  const auto& form = pushed ? *pushed : *query;
  const auto found = parse_redirect_target(form, *client);
  if (const auto* refusal = std::get_if<Refusal>(&found)) return answer(request, event, *refusal);
  const auto& target = std::get<RedirectTarget>(found);
  const auto back = [&](std::string_view error, std::string_view description) {
    log::info(event, {{"request", request.request_id}, {"client", *id}, {"error", std::string(error)}, {"why", std::string(description)}});
    return redirect(redirect_to(target, config_.issuer, {{"error", error}, {"error_description", description}}));
  };
  const auto parsed = parse_authorization_request(form, target, *client, config_.issuer);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return back(refusal->error, refusal->description);

  auto opened = open(*client, std::get<AuthorizationRequest>(parsed).credential, pushed ? Origin::client : Origin::anybody);
  if (!opened) {
    log::refusal("authorization.not_opened", opened.error(), {{"request", request.request_id}, {"client", *id}});
    return back(error_of(opened.error().code), "The request was refused");
  }
  const auto handle = pending_->begin({*id, authorization_parameters(form), std::move(opened->ticket), std::move(opened->statement),
                                       std::move(opened->transaction), std::move(opened->nonce), opened->expires});
  if (!handle) return back(error_of(handle.error().code), "The request was refused");
  log::info("authorization.begun", {{"request", request.request_id}, {"client", *id}});
  return redirect(config_.approval_page + "#" + *handle);
}

Result<std::string> AuthorizationEndpoint::begin(const PendingApproval& pending) const {
  const auto handle = pending_->begin(pending);
  if (!handle) return handle.error();
  return config_.approval_page + "#" + *handle;
}

Result<std::string> AuthorizationEndpoint::park(
    std::string_view bearer, const std::function<Status(storage::Transaction& transaction, std::string_view handle)>& also) const {
  std::string handle;
  const auto parked = database_->write([&](storage::Transaction& transaction) -> Status {
    auto made = pending_->park(transaction, bearer);
    if (!made) return made.error();
    handle = std::move(*made);
    return also(transaction, handle);
  });
  if (!parked) return parked.error();
  return handle;
}

Status AuthorizationEndpoint::finish(std::string_view bearer, const std::function<Status(storage::Transaction&)>& also) const {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    if (auto finished = pending_->finish(transaction, bearer); !finished) return finished;
    return also(transaction);
  });
}

Result<RedirectTarget> AuthorizationEndpoint::target_of(const PendingApproval& pending) const {
  const auto* client = clients_->find(pending.client);
  if (client == nullptr) return Error{ErrorCode::not_found, "the client is no longer registered"};
  const auto form = Form::parse(pending.request);
  if (!form) return form.error();
  auto target = parse_redirect_target(*form, *client);
  if (std::holds_alternative<Refusal>(target)) return Error{ErrorCode::not_found, "the redirect address is no longer registered"};
  return std::get<RedirectTarget>(std::move(target));
}

Result<std::string> AuthorizationEndpoint::approved(std::string_view bearer, const PendingApproval& pending, std::string_view signer,
                                                    const Secret& sad, UnixTime sad_expires) const {
  const auto target = target_of(pending);
  if (!target) return target.error();
  std::string code;
  const auto granted = database_->write([&](storage::Transaction& transaction) -> Status {
    if (auto finished = pending_->finish(transaction, bearer); !finished) return finished;
    auto added = grants_->add(transaction, {pending.client, std::string(signer), pending.request, sad.clone(), sad_expires});
    if (!added) return added.error();
    code = std::move(*added);
    return {};
  });
  if (!granted) return granted.error();
  const WipeAtExit wiped(code);
  return redirect_to(*target, config_.issuer, {{"code", code}});
}

Result<std::string> AuthorizationEndpoint::denied(std::string_view bearer, const PendingApproval& pending) const {
  const auto target = target_of(pending);
  if (!target) return target.error();
  const auto finished = database_->write([&](storage::Transaction& transaction) { return pending_->finish(transaction, bearer); });
  if (!finished) return finished.error();
  return redirect_to(*target, config_.issuer, {{"error", "access_denied"}, {"error_description", "The signer declined"}});
}

}  // namespace intaglio::oauth
