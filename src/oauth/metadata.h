#pragma once

#include <string>

namespace intaglio::oauth {

struct MetadataConfig {
  std::string issuer;
  std::string base;         ///< where the endpoints are, such as https://host/csc/v2/oauth2
  bool with_codes = false;  ///< the authorization endpoint is offered
  /// Where the endpoints are that ask for a client certificate, such as https://host:port/csc/v2/oauth2; empty: nowhere.
  std::string mutual_tls_base{};
  bool with_authorities = false;  ///< clients may be known by the name in a certificate
};

/// Authorization server metadata (RFC 8414, 2; RFC 8705, 3.3 and 5), JSON text.
[[nodiscard]] std::string metadata(const MetadataConfig& config);

}  // namespace intaglio::oauth
