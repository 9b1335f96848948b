#include "oauth/metadata.h"

#include "json/json.h"

namespace intaglio::oauth {

std::string metadata(const MetadataConfig& config) {
  const auto at = [&](std::string_view name) { return config.base + "/" + std::string(name); };
  json::Value body = json::Value::object();
  body["issuer"] = config.issuer;
  body["token_endpoint"] = at("token");
  body["revocation_endpoint"] = at("revoke");
  body["jwks_uri"] = at("jwks");
  body["token_endpoint_auth_methods_supported"] = {"private_key_jwt", "client_secret_basic", "client_secret_post"};
  body["token_endpoint_auth_signing_alg_values_supported"] = {"ES256"};
  if (!config.mutual_tls_base.empty()) {
    auto& methods = body["token_endpoint_auth_methods_supported"];
    if (config.with_authorities) methods.push_back("tls_client_auth");
    methods.push_back("self_signed_tls_client_auth");
    body["tls_client_certificate_bound_access_tokens"] = true;
    auto& aliases = body["mtls_endpoint_aliases"];
    aliases["token_endpoint"] = config.mutual_tls_base + "/token";
    aliases["revocation_endpoint"] = config.mutual_tls_base + "/revoke";
    if (config.with_codes) aliases["pushed_authorization_request_endpoint"] = config.mutual_tls_base + "/pushed_authorize";
  }
  body["revocation_endpoint_auth_methods_supported"] = body["token_endpoint_auth_methods_supported"];
  body["revocation_endpoint_auth_signing_alg_values_supported"] = {"ES256"};
  body["dpop_signing_alg_values_supported"] = {"ES256"};
  // RFC 8414, 2: the member is required, and empty where no response type is offered.
  body["response_types_supported"] = json::Value::array();
  body["grant_types_supported"] = {"client_credentials"};
  body["scopes_supported"] = {"service"};
  if (!config.with_codes) return json::encode(body);
  body["authorization_endpoint"] = at("authorize");
  body["pushed_authorization_request_endpoint"] = at("pushed_authorize");
  body["response_types_supported"] = {"code"};
  body["response_modes_supported"] = {"query"};
  body["grant_types_supported"] = {"authorization_code", "client_credentials", "refresh_token"};
  body["scopes_supported"] = {"service", "credential"};
  body["code_challenge_methods_supported"] = {"S256"};
  body["authorization_response_iss_parameter_supported"] = true;
  body["authorization_details_types_supported"] = {"credential", "https://cloudsignatureconsortium.org/2025/credential"};
  return json::encode(body);
}

}  // namespace intaglio::oauth
