#include "ssa/csc/login.h"

#include "base/log.h"
#include "base/secret.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

constexpr std::string_view basic = "Basic ";

http::Response answer_of(const oauth::Refusal& refusal) { return csc::answer({refusal.status, refusal.error, refusal.description}); }

}  // namespace

Login::Login(std::shared_ptr<const oauth::ClientAuthentication> authentication, std::shared_ptr<oauth::AccessTokens> tokens,
             std::shared_ptr<const oauth::TokenEndpoint> endpoint)
    : authentication_(std::move(authentication)), tokens_(std::move(tokens)), endpoint_(std::move(endpoint)) {}

bool Login::offered() const { return authentication_->clients()->any(oauth::Compatibility::auth_login); }

http::Response Login::login(const http::Request& request) const {
  auto parameters = Parameters::of(request);
  const auto* refresh = parameters.member("refresh_token");
  const bool is_text = refresh != nullptr && refresh->is_string();
  if (refresh != nullptr && !is_text) parameters.refuse(invalid_request("Invalid string parameter: refresh_token"));
  (void)parameters.flag("rememberMe");
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  // It wins over a header, and none of ours was ever given.
  if (is_text) return csc::answer(invalid_request("Invalid refresh_token"));

  const auto header = request.headers.find("authorization");
  if (header == request.headers.end() || !header->second.starts_with(basic)) {
    auto answer = csc::answer({401, "invalid_request", "Malformed authentication parameter."});
    answer.headers.emplace_back("WWW-Authenticate", "Basic realm=\"auth/login\"");
    return answer;
  }
  auto decoded = parse_base64(std::string_view(header->second).substr(basic.size()));
  if (!decoded) return csc::answer(invalid_request("Malformed username-password."));
  const WipeAtExit wiped(*decoded);
  const auto text = as_text(*decoded);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return csc::answer(invalid_request("Malformed username-password."));
  const auto verified = authentication_->verify_login(text.substr(0, colon), text.substr(colon + 1));
  if (const auto* refusal = std::get_if<oauth::Refusal>(&verified)) {
    log::info("login.refused", {{"request", request.request_id}, {"error", refusal->error}});
    return answer_of(*refusal);
  }
  const auto& client = *std::get<const oauth::Client*>(verified);
  const auto issued = tokens_->issue(client, "service");
  if (!issued) return refuse(request, issued.error());
  log::info("token.issued", {{"request", request.request_id}, {"client", client.id.text()}, {"grant_type", "auth/login"}});
  return uncached({{"access_token", issued->token}, {"expires_in", issued->expires_in.count()}});
}

http::Response Login::revoke(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto token = parameters.required_text("token");
  if (const auto* hint = parameters.member("token_type_hint"); hint != nullptr && *hint != "access_token" && *hint != "refresh_token") {
    parameters.refuse(invalid_request("Invalid string parameter token_type_hint"));
  }
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto* client = authentication_->clients()->find(caller.id);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto ended = endpoint_->end_token(token, *client);
  if (!ended && ended.error().code == ErrorCode::not_found) return csc::answer(invalid_request("Invalid string parameter token"));
  if (!ended) return refuse(request, ended.error());
  log::info("token.revoked", {{"request", request.request_id}, {"client", caller.id}});
  http::Response done;
  done.status = 204;
  return done;
}

}  // namespace intaglio::ssa::csc
