#include "oauth/refusal.h"

#include "base/log.h"
#include "http/routes.h"

namespace intaglio::oauth {

Refusal invalid_request(std::string description) { return {400, "invalid_request", std::move(description)}; }
Refusal invalid_grant(std::string description) { return {400, "invalid_grant", std::move(description)}; }
Refusal temporarily_unavailable() { return {503, "temporarily_unavailable", "The authorization server is temporarily unavailable"}; }
Refusal too_many_requests(std::chrono::seconds retry_after) {
  return {429, "temporarily_unavailable", "Too many requests for now", retry_after};
}

http::Response answer(const http::Request& request, std::string_view event, const Refusal& refusal) {
  auto response = http::error_answer(refusal.status, refusal.error, refusal.description);
  response.headers.emplace_back("Cache-Control", "no-store");
  if (refusal.retry_after.count() > 0) response.headers.emplace_back("Retry-After", std::to_string(refusal.retry_after.count()));
  if (refusal.status == 401) response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"oauth2/token\"");
  log::info(event, {{"request", request.request_id}, {"error", refusal.error}, {"why", refusal.description}});
  return response;
}

http::Response uncached(std::string body, unsigned status) {
  auto response = http::json_answer(std::move(body), status);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

bool has_form(const http::Request& request) {
  const auto type = request.headers.find("content-type");
  if (type == request.headers.end()) return false;
  return std::string_view(type->second).substr(0, type->second.find(';')) == "application/x-www-form-urlencoded";
}

}  // namespace intaglio::oauth
