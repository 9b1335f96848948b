#pragma once

#include <string>

#include "base/clock.h"
#include "json/json.h"
#include "outbound/http_client.h"
#include "settings.h"

namespace intaglio::cli {

/// The SSA's public listener, with an access token of this signature application, or as a signer's own device.
class Service {
 public:
  /// Who asks without a token: what a one-time handle opens needs none.
  [[nodiscard]] static Result<Service> without_token(const SignerSide& side);
  /// Authenticates with private_key_jwt (RFC 7523) and gets a token of scope `service`.
  [[nodiscard]] static Result<Service> sign_in(const ClientSettings& settings, const Clock& clock);
  /// `path` begins with a slash. An answer other than 2xx is a refusal with the service's words.
  [[nodiscard]] Result<json::Value> post(std::string_view path, const json::Value& body) const;
  [[nodiscard]] Result<json::Value> get(std::string_view path) const;
  /// What goes into the Authorization header from now on.
  void use_token(std::string token) { token_ = std::move(token); }

 private:
  Service(outbound::HttpClient http, std::string base_url, std::string token);
  outbound::HttpClient http_;
  std::string base_url_;
  std::string token_;
};

/// The registration listener, mutual TLS.
class RegistrationService {
 public:
  [[nodiscard]] static Result<RegistrationService> open(const OperatorSettings& settings);
  [[nodiscard]] Result<json::Value> post(std::string_view path, const json::Value& body) const;
  [[nodiscard]] Result<json::Value> get(std::string_view path) const;

 private:
  RegistrationService(outbound::HttpClient http, std::string base_url);
  outbound::HttpClient http_;
  std::string base_url_;
};

}  // namespace intaglio::cli
