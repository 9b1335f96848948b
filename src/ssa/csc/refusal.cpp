#include "ssa/csc/refusal.h"

#include "base/log.h"
#include "http/routes.h"

namespace intaglio::ssa::csc {
namespace {

/// Limits of signatures, of the SAM and our own, are counted in minutes and more.
constexpr std::string_view retry_after_seconds = "60";

}  // namespace

Refusal invalid_request(std::string_view description) { return {400, "invalid_request", std::string(description)}; }
Refusal missing_text(std::string_view parameter) {
  return invalid_request("Missing (or invalid type) string parameter " + std::string(parameter));
}
Refusal invalid_parameter(std::string_view parameter) { return invalid_request("Invalid parameter " + std::string(parameter)); }

Refusal refusal_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::invalid_request:
      return invalid_request("The request is missing a required parameter, includes an invalid parameter value or is otherwise malformed");
    case ErrorCode::authentication_failed: return {400, "invalid_authentication_data", "The authentication data is invalid"};
    case ErrorCode::credential_unknown: return invalid_parameter("credentialID");
    case ErrorCode::credential_locked: return invalid_request("Credential locked");
    case ErrorCode::credential_disabled: return invalid_request("The credential identified by credentialID is disabled");
    case ErrorCode::certificate_invalid: return invalid_request("Invalid certificate status");
    case ErrorCode::not_authorised:
    case ErrorCode::sad_invalid:
    case ErrorCode::replayed: return invalid_parameter("SAD");
    case ErrorCode::sad_expired: return invalid_request("SAD expired");
    case ErrorCode::ticket_invalid: return invalid_parameter("ticket");
    case ErrorCode::ticket_expired: return invalid_request("The transaction is expired");
    case ErrorCode::binding_mismatch: return invalid_request("What was approved is not what was opened");
    case ErrorCode::hash_not_authorised: return invalid_request("Hash is not authorized by the SAD.");
    case ErrorCode::algorithm_refused: return invalid_parameter("signAlgo");
    case ErrorCode::digest_length: return invalid_request("Invalid digest value length");
    case ErrorCode::limit_exceeded: return {429, "access_denied", "The limit of signatures for now is reached"};
    case ErrorCode::not_found: return {404, "not_found", "There is no such object"};
    case ErrorCode::conflict: return {409, "conflict", "It exists already or was changed meanwhile"};
    case ErrorCode::unsupported: return {501, "unsupported", "This is not offered"};
    case ErrorCode::too_large: return invalid_request("A parameter is too large");
    case ErrorCode::busy:
    case ErrorCode::clock_unsynchronised:
    case ErrorCode::audit_unavailable:
    case ErrorCode::storage_unavailable:
    case ErrorCode::token_unavailable: return {503, "temporarily_unavailable", "The service is temporarily unavailable"};
    case ErrorCode::signature_doubtful:
    case ErrorCode::configuration:
    case ErrorCode::internal: break;
  }
  return {500, "server_error", "The service met an unexpected condition"};
}

http::Response answer(const Refusal& refusal) {
  auto response = http::error_answer(refusal.status, refusal.error, refusal.description);
  if (refusal.status == 429) response.headers.emplace_back("Retry-After", std::string(retry_after_seconds));
  return response;
}

http::Response uncached(json::Value body, unsigned status) {
  const json::WipeAtExit wiped(body);
  auto response = http::json_answer(json::encode(body), status);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

http::Response refuse(const http::Request& request, const Error& error) {
  log::refusal("request.refused", error, {{"request", request.request_id}, {"path", request.path}});
  return answer(refusal_of(error));
}

}  // namespace intaglio::ssa::csc
