#include "oauth/token_endpoint.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "oauth/authorization_request.h"
#include "oauth/client_certificate.h"
#include "oauth/dpop.h"

namespace intaglio::oauth {
namespace {

constexpr std::string_view service_scope = "service";

/// RFC 8705 has no type of its own: a token that is bound to a certificate alone is shown as a bearer token is.
std::string_view type_of(const Confirmation& bound) { return bound.key.empty() ? "Bearer" : "DPoP"; }

/// What a code was asked for, read again from the parameters that the signer's approval was opened with.
std::variant<AuthorizationRequest, Refusal> approved_request(const std::string& parameters, const Client& client, std::string_view issuer) {
  const auto form = Form::parse(parameters);
  if (!form) return invalid_grant("Invalid parameter code");
  auto target = parse_redirect_target(*form, client);
  if (auto* refusal = std::get_if<Refusal>(&target)) return std::move(*refusal);
  return parse_authorization_request(*form, std::get<RedirectTarget>(std::move(target)), client, issuer);
}

/// What a token request repeats of the authorization request is the same (RFC 6749, 4.1.3; RFC 7636, 4.6; RFC 9396, 6).
std::optional<Refusal> differs(const Form& form, const AuthorizationRequest& approved) {
  const auto* uri = form.find("redirect_uri");
  const bool same_redirect = uri == nullptr ? !approved.target.stated : *uri == approved.target.uri;
  if (refused_by("oauth.code.redirect", !same_redirect)) {
    return invalid_grant("redirect_uri parameter does not match redirect_uri parameter of authorization request");
  }
  const auto* verifier = form.find("code_verifier");
  if (!approved.code_challenge) {
    // The request of whoever has a verifier had a challenge: somebody took it out (RFC 9700, 4.8).
    if (refused_by("oauth.code.downgrade", verifier != nullptr)) return invalid_grant("Invalid parameter code_verifier");
  } else if (verifier == nullptr) {
    return invalid_request("Missing parameter code_verifier");
  } else if (refused_by("oauth.code.verifier", !proves_challenge(*verifier, *approved.code_challenge))) {
    return invalid_grant("Invalid parameter code_verifier");
  }
  if (const auto* details = form.find("authorization_details"); details != nullptr) {
    const auto repeated = json::parse(*details, {128 * 1024, 6, 16 * 1024});
    const bool same = repeated && approved.details && *repeated == *approved.details;
    if (refused_by("oauth.code.details", !same)) {
      return Refusal{400, "invalid_authorization_details", "authorization_details are not those that were approved"};
    }
  }
  return std::nullopt;
}

}  // namespace

TokenEndpoint::TokenEndpoint(std::string issuer, std::shared_ptr<const ClientAuthentication> authentication,
                             std::shared_ptr<AccessTokens> tokens, std::shared_ptr<Grants> grants, std::shared_ptr<const Clock> clock)
    : issuer_(std::move(issuer)),
      clients_(authentication->clients()),
      authentication_(std::move(authentication)),
      tokens_(std::move(tokens)),
      grants_(std::move(grants)),
      clock_(std::move(clock)) {}

TokenEndpoint::Answer TokenEndpoint::client_credentials(const http::Request& request, const Form& form, const Asker& asker) const {
  const auto& client = asker.client;
  const auto* scope = form.find("scope");
  if (scope != nullptr && *scope != service_scope) {
    return Refusal{400, "invalid_scope", "The requested scope is invalid, unknown, or malformed"};
  }
  const auto issued = tokens_->issue(client, service_scope, asker.bound);
  if (!issued) {
    log::refusal("token.failed", issued.error(), {{"request", request.request_id}});
    return temporarily_unavailable();
  }
  return json::Value{{"access_token", issued->token},
                     {"token_type", type_of(asker.bound)},
                     {"expires_in", issued->expires_in.count()},
                     {"scope", service_scope}};
}

TokenEndpoint::Answer TokenEndpoint::authorization_code(const http::Request& request, const Form& form, const Asker& asker) const {
  const auto& client = asker.client;
  const auto* code = form.find("code");
  if (code == nullptr) return invalid_request("Missing parameter code");
  std::optional<AuthorizationRequest> approved;
  auto redeemed = grants_->redeem(*code, client, [&](const std::string& parameters) -> std::optional<Refusal> {
    auto asked = approved_request(parameters, client, issuer_);
    if (auto* refusal = std::get_if<Refusal>(&asked)) return std::move(*refusal);
    approved = std::get<AuthorizationRequest>(std::move(asked));
    return differs(form, *approved);
  });
  if (auto* refusal = std::get_if<Refusal>(&redeemed)) return std::move(*refusal);
  const auto& granted = std::get<Grants::Redeemed>(redeemed);

  const auto left = granted.sad_expires - clock_->now();
  if (left <= std::chrono::seconds{0}) return invalid_grant("Authorization code is invalid or expired");
  const std::string scope = approved->service ? "credential service" : "credential";
  const auto issued = tokens_->issue(client, GrantedToken{granted.grant, granted.signer, scope, approved->credential.credential.text(),
                                                          approved->service ? tokens_->life() : left, asker.bound});
  const auto parked = issued ? grants_->park(granted.grant, issued->token, granted.sad, granted.sad_expires) : Status(issued.error());
  if (!parked) {
    log::refusal("token.failed", parked.error(), {{"request", request.request_id}});
    return temporarily_unavailable();
  }
  json::Value body{
      {"access_token", issued->token}, {"token_type", type_of(asker.bound)}, {"expires_in", issued->expires_in.count()}, {"scope", scope}};
  if (approved->details) body["authorization_details"] = *approved->details;
  if (!approved->service) return body;
  const auto refresh = grants_->add_refresh_token(granted.grant);
  if (!refresh) {
    log::refusal("token.failed", refresh.error(), {{"request", request.request_id}});
    return temporarily_unavailable();
  }
  body["refresh_token"] = *refresh;
  return body;
}

TokenEndpoint::Answer TokenEndpoint::refresh_token(const http::Request& request, const Form& form, const Asker& asker) const {
  const auto& client = asker.client;
  const auto* token = form.find("refresh_token");
  if (token == nullptr) return invalid_request("Missing parameter refresh_token");
  // What was approved is used once: only the access to the service is renewed (CSC API v2, 8.4).
  const auto* scope = form.find("scope");
  if (scope != nullptr && *scope != service_scope) {
    return Refusal{400, "invalid_scope", "The requested scope is invalid, unknown, or malformed"};
  }
  auto used = grants_->refresh(*token, client);
  if (auto* refusal = std::get_if<Refusal>(&used)) return std::move(*refusal);
  const auto& refreshed = std::get<Grants::Refreshed>(used);
  const auto issued =
      tokens_->issue(client, GrantedToken{refreshed.grant, refreshed.signer, std::string(service_scope), "", tokens_->life(), asker.bound});
  if (!issued) {
    log::refusal("token.failed", issued.error(), {{"request", request.request_id}});
    return temporarily_unavailable();
  }
  return json::Value{{"access_token", issued->token},
                     {"token_type", type_of(asker.bound)},
                     {"expires_in", issued->expires_in.count()},
                     {"scope", service_scope},
                     {"refresh_token", refreshed.token}};
}

std::variant<Confirmation, Refusal> TokenEndpoint::confirmation(const http::Request& request, const Client& client) const {
  Confirmation bound;
  const auto now = clock_->now();
  if (has_dpop_proof(request)) {
    auto key = verify_dpop_proof(request, issuer_, {}, *grants_, now);
    if (!key && key.error().code == ErrorCode::storage_unavailable) return temporarily_unavailable();
    if (!key) return Refusal{400, "invalid_dpop_proof", key.error().detail};
    bound.key = std::move(*key);
  }
  if (refused_by("oauth.dpop.required", client.dpop_bound && bound.key.empty())) {
    return Refusal{400, "invalid_dpop_proof", "The client is registered for bound tokens alone"};
  }
  if (!client.certificate_bound && !client.shows_certificate()) return bound;
  const auto certificate = ClientCertificate::of(request, now);
  if (refused_by("oauth.mtls.required", !certificate)) {
    return invalid_request("The client is registered for tokens that are bound to its certificate alone");
  }
  if (certificate) bound.certificate = certificate->thumbprint();
  return bound;
}

http::Response TokenEndpoint::answer(const http::Request& request) const {
  constexpr std::string_view event = "token.refused";
  const auto form = read_form(request);
  if (const auto* refusal = std::get_if<Refusal>(&form)) return oauth::answer(request, event, *refusal);
  return answer(request, std::get<Form>(form));
}

/// The body, or the query of a client that is registered to put its parameters there, when there is no body.
std::variant<Form, Refusal> TokenEndpoint::read_form(const http::Request& request) const {
  const auto refuse_place = [] { return invalid_request("The body of a token request is application/x-www-form-urlencoded"); };
  const bool in_query = request.body.empty() && !request.query.empty();
  if (!in_query && !has_form(request)) return refuse_place();
  auto form = Form::parse(in_query ? request.query : request.body);
  if (!form) return invalid_request("A parameter is malformed or came twice");
  if (!in_query) return std::move(*form);
  const auto shown = ShownClient::read(request, *form);
  const auto* client = std::holds_alternative<ShownClient>(shown) ? clients_->find(std::get<ShownClient>(shown).id()) : nullptr;
  if (refused_by("oauth.token.query", client == nullptr || !client->allows(Compatibility::token_query))) return refuse_place();
  // Addresses stand in logs.
  for (const std::string_view name : {"client_secret", "client_assertion"}) {
    if (refused_by("oauth.token.secret_in_query", form->find(name) != nullptr))
      return invalid_request("Invalid parameter " + std::string(name));
  }
  return std::move(*form);
}

http::Response TokenEndpoint::answer(const http::Request& request, const Form& form) const {
  constexpr std::string_view event = "token.refused";
  const auto shown = ShownClient::read(request, form);
  if (const auto* refusal = std::get_if<Refusal>(&shown)) return oauth::answer(request, event, *refusal);
  const auto* grant_type = form.find("grant_type");
  if (grant_type == nullptr) return oauth::answer(request, event, invalid_request("Missing parameter grant_type"));
  using Grant = Answer (TokenEndpoint::*)(const http::Request&, const Form&, const Asker&) const;
  Grant grant = nullptr;
  if (*grant_type == "client_credentials") grant = &TokenEndpoint::client_credentials;
  if (*grant_type == "authorization_code") grant = &TokenEndpoint::authorization_code;
  if (*grant_type == "refresh_token") grant = &TokenEndpoint::refresh_token;
  if (grant == nullptr) {
    return oauth::answer(request, event, invalid_request("Invalid parameter grant_type"));
  }
  const auto authenticated = authentication_->verify(request, std::get<ShownClient>(shown));
  if (const auto* refusal = std::get_if<Refusal>(&authenticated)) return oauth::answer(request, event, *refusal);
  const auto& client = *std::get<const Client*>(authenticated);

  auto bound = confirmation(request, client);
  if (const auto* refusal = std::get_if<Refusal>(&bound)) return oauth::answer(request, event, *refusal);
  const Asker asker{client, std::get<Confirmation>(std::move(bound))};
  const auto answered = (this->*grant)(request, form, asker);
  if (const auto* refusal = std::get_if<Refusal>(&answered)) return oauth::answer(request, event, *refusal);
  log::info("token.issued", {{"request", request.request_id}, {"client", client.id.text()}, {"grant_type", *grant_type}});
  return uncached(json::encode(std::get<json::Value>(answered)));
}

}  // namespace intaglio::oauth
