#pragma once

#include <memory>

#include "http/routes.h"
#include "oauth/client_authentication.h"
#include "oauth/token_endpoint.h"

namespace intaglio::ssa::csc {

/// POST auth/login, auth/revoke (CSC API v1 and v2, 11.2 and 11.3), for clients that Compatibility::auth_login is for: another door to what
/// oauth2/token gives them by client_credentials. No signer signs in here, and there are no refresh tokens.
class Login {
 public:
  Login(std::shared_ptr<const oauth::ClientAuthentication> authentication, std::shared_ptr<oauth::AccessTokens> tokens,
        std::shared_ptr<const oauth::TokenEndpoint> endpoint);
  /// False: no client is registered for it.
  [[nodiscard]] bool offered() const;
  [[nodiscard]] http::Response login(const http::Request& request) const;
  [[nodiscard]] http::Response revoke(const http::Request& request, const http::Principal& caller) const;

 private:
  std::shared_ptr<const oauth::ClientAuthentication> authentication_;
  std::shared_ptr<oauth::AccessTokens> tokens_;
  std::shared_ptr<const oauth::TokenEndpoint> endpoint_;
};

}  // namespace intaglio::ssa::csc
