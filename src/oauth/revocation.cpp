#include "base/check.h"
#include "base/log.h"
#include "oauth/token_endpoint.h"

namespace intaglio::oauth {

http::Response TokenEndpoint::revoke(const http::Request& request) const {
  constexpr std::string_view event = "revocation.refused";
  const auto refuse = [&](const Refusal& refusal) { return oauth::answer(request, event, refusal); };
  if (!has_form(request)) return refuse(invalid_request("The body of a revocation is application/x-www-form-urlencoded"));
  const auto form = Form::parse(request.body);
  if (!form) return refuse(invalid_request("A parameter is malformed or came twice"));
  const auto* token = form->find("token");
  if (token == nullptr) return refuse(invalid_request("Missing parameter token"));
  const auto* hint = form->find("token_type_hint");
  if (hint != nullptr && *hint != "access_token" && *hint != "refresh_token") {
    return refuse(invalid_request("Invalid parameter token_type_hint"));
  }
  const auto shown = ShownClient::read(request, *form);
  if (const auto* refusal = std::get_if<Refusal>(&shown)) return refuse(*refusal);
  const auto authenticated = authentication_->verify(request, std::get<ShownClient>(shown));
  if (const auto* refusal = std::get_if<Refusal>(&authenticated)) return refuse(*refusal);
  const auto& client = *std::get<const Client*>(authenticated);

  const auto done = end_token(*token, client);
  if (!done && done.error().code == ErrorCode::not_found) return refuse(invalid_request("Invalid string parameter token"));
  if (!done) {
    log::refusal("revocation.failed", done.error(), {{"request", request.request_id}});
    return refuse(temporarily_unavailable());
  }
  log::info("token.revoked", {{"request", request.request_id}, {"client", client.id.text()}});
  return uncached("", 204);
}

Status TokenEndpoint::end_token(std::string_view token, const Client& client) const {
  // The two kinds differ in form: the hint is never needed, and a wrong one misleads nobody (RFC 7009, 2.1).
  if (auto done = grants_->revoke_refresh_token(token, client); done || done.error().code != ErrorCode::not_found) return done;
  const auto owner = tokens_->owner(token);
  if (!owner) return Error{ErrorCode::not_found, owner.error().detail};
  if (refused_by("oauth.revoke.client", owner->client != client.id.text())) return Error{ErrorCode::not_found, "another client's token"};
  return grants_->revoke_access_token(token, owner->expires);
}

}  // namespace intaglio::oauth
