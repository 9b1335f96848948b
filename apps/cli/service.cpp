#include "service.h"

#include "console.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// host:port of an https address, as the egress list of the HTTP client wants it.
std::string authority_of(std::string_view url) {
  url.remove_prefix(std::string_view("https://").size());
  std::string authority(url.substr(0, url.find('/')));
  const auto bracket = authority.rfind(']');
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  for (auto& c : authority) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return has_port ? authority : authority + ":443";
}

Error unreachable(const Error& error, const std::string& base_url) {
  return because(error, "the service at " + base_url + " did not answer",
                 "check that it runs (`intaglio up`, or ask its operator) and that base_url and ca_file are right");
}

ErrorCode code_of(unsigned status) {
  if (status == 401 || status == 403) return ErrorCode::not_authorised;
  if (status == 404) return ErrorCode::not_found;
  if (status == 409) return ErrorCode::conflict;
  if (status == 429) return ErrorCode::limit_exceeded;
  if (status == 503) return ErrorCode::busy;
  return status >= 500 ? ErrorCode::internal : ErrorCode::invalid_request;
}

/// The service's refusal in its own words (CSC: error, error_description).
Error refusal_of(const outbound::HttpAnswer& answer, std::string_view path) {
  std::string words = "HTTP " + std::to_string(answer.status);
  auto code = code_of(answer.status);
  if (auto body = json::parse(answer.body)) {
    if (auto error = json::text_member(*body, "error")) {
      words += ", " + printable(*error);
      if (*error == "invalid_authentication_data") code = ErrorCode::authentication_failed;
    }
    if (auto description = json::text_member(*body, "error_description")) words += ": " + printable(*description);
  }
  return Error{code, "the service refused " + std::string(path) + " (" + words + ")"};
}

Result<json::Value> read_answer(const Result<outbound::HttpAnswer>& answer, std::string_view path, const std::string& base_url) {
  if (!answer) return unreachable(answer.error(), base_url);
  if (answer->status < 200 || answer->status > 299) return refusal_of(*answer, path);
  auto body = json::parse(answer->body, {.max_bytes = 1024 * 1024, .max_depth = 32, .max_members = 65536});
  if (!body) return because(body.error(), "the answer to " + std::string(path) + " is not JSON", "check that base_url is the SSA's");
  return body;
}

outbound::HttpHeaders bearer(const std::string& token) {
  if (token.empty()) return {};
  return {{"Authorization", "Bearer " + token}};
}

Result<outbound::HttpClient> connect(const SignerSide& side) {
  auto http = outbound::HttpClient::create({.ca_file = side.ca_file,
                                            .certificate_file = {},
                                            .private_key_file = {},
                                            .allowed = {authority_of(side.base_url)},
                                            .timeout = side.request_time});
  if (!http) return because(http.error(), "HTTPS to " + side.base_url, "check ca_file in the configuration");
  return http;
}

}  // namespace

Service::Service(outbound::HttpClient http, std::string base_url, std::string token)
    : http_(std::move(http)), base_url_(std::move(base_url)), token_(std::move(token)) {}

Result<Service> Service::without_token(const SignerSide& side) {
  auto http = connect(side);
  if (!http) return http.error();
  return Service(std::move(*http), side.base_url, {});
}

Result<Service> Service::sign_in(const ClientSettings& settings, const Clock& clock) {
  auto http = connect(settings);
  if (!http) return http.error();
  const auto endpoint = settings.base_url + "/csc/v2/oauth2/token";
  auto jti = crypto::random_id();
  if (!jti) return jti.error();
  const auto now = unix_seconds(clock.now());
  const json::Value claims{
      {"iss", settings.client_id}, {"sub", settings.client_id}, {"aud", endpoint}, {"jti", *jti}, {"iat", now}, {"exp", now + 60}};
  auto assertion = crypto::make_jws(*settings.client_key, "client-authentication+jwt", settings.client_id, json::encode(claims));
  if (!assertion) return assertion.error();
  auto answer = read_answer(http->post_form(endpoint, {{"grant_type", "client_credentials"},
                                                       {"client_id", settings.client_id},
                                                       {"scope", "service"},
                                                       {"client_assertion_type", std::string(assertion_type)},
                                                       {"client_assertion", *assertion}}),
                            "/csc/v2/oauth2/token", settings.base_url);
  if (!answer)
    return because(answer.error(), "sign-in as client " + settings.client_id,
                   "check client.id and client.key_file: the service must know this client's public key");
  auto token = json::text_member(*answer, "access_token", 16 * 1024);
  if (!token) return because(token.error(), "sign-in", "check that base_url is the SSA's");
  return Service(std::move(*http), settings.base_url, std::move(*token));
}

Result<json::Value> Service::post(std::string_view path, const json::Value& body) const {
  return read_answer(http_.post_json(base_url_ + std::string(path), json::encode(body), bearer(token_)), path, base_url_);
}

Result<json::Value> Service::get(std::string_view path) const {
  return read_answer(http_.get(base_url_ + std::string(path), bearer(token_)), path, base_url_);
}

RegistrationService::RegistrationService(outbound::HttpClient http, std::string base_url)
    : http_(std::move(http)), base_url_(std::move(base_url)) {}

Result<RegistrationService> RegistrationService::open(const OperatorSettings& settings) {
  auto http = outbound::HttpClient::create({.ca_file = settings.ca_file,
                                            .certificate_file = settings.certificate_file,
                                            .private_key_file = settings.private_key_file,
                                            .allowed = {authority_of(settings.base_url)},
                                            .timeout = settings.request_time});
  if (!http)
    return because(http.error(), "HTTPS to " + settings.base_url,
                   "check ca_file, certificate_file and private_key_file in the operator configuration");
  return RegistrationService(std::move(*http), settings.base_url);
}

Result<json::Value> RegistrationService::post(std::string_view path, const json::Value& body) const {
  return read_answer(http_.post_json(base_url_ + std::string(path), json::encode(body)), path, base_url_);
}

Result<json::Value> RegistrationService::get(std::string_view path) const {
  return read_answer(http_.get(base_url_ + std::string(path)), path, base_url_);
}

}  // namespace intaglio::cli
