#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "http/server.h"
#include "json/json.h"
#include "oauth/access_token.h"
#include "oauth/client.h"
#include "oauth/client_authentication.h"
#include "oauth/form.h"
#include "oauth/grants.h"
#include "oauth/refusal.h"

namespace intaglio::oauth {

/// POST oauth2/token (RFC 6749, 3.2; csc-api 4.4): client_credentials, authorization_code and refresh_token; POST oauth2/revoke (RFC
/// 7009; csc-api 4.5). Thread-safe.
class TokenEndpoint {
 public:
  /// `issuer`: what the authorization details of a request may name as location.
  TokenEndpoint(std::string issuer, std::shared_ptr<const ClientAuthentication> authentication, std::shared_ptr<AccessTokens> tokens,
                std::shared_ptr<Grants> grants, std::shared_ptr<const Clock> clock);
  [[nodiscard]] http::Response answer(const http::Request& request) const;
  [[nodiscard]] const std::shared_ptr<const ClientAuthentication>& authentication() const noexcept { return authentication_; }
  /// 204 when the token is dead: an access token by itself, a refresh token with its whole grant. CSC wants 400 for one that is not known.
  [[nodiscard]] http::Response revoke(const http::Request& request) const;
  /// Ends a token of this client: an access token by itself, a refresh token with its whole grant. `not_found`: none of this client's.
  Status end_token(std::string_view token, const Client& client) const;

 private:
  using Answer = std::variant<json::Value, Refusal>;
  /// Who asks, and what the token will be bound to.
  struct Asker {
    const Client& client;
    Confirmation bound;
  };
  /// A key when the request has a proof of it (RFC 9449, 5), and the certificate of the connection when the client authenticates by it or
  /// is registered for it (RFC 8705, 3).
  [[nodiscard]] std::variant<Confirmation, Refusal> confirmation(const http::Request& request, const Client& client) const;
  [[nodiscard]] std::variant<Form, Refusal> read_form(const http::Request& request) const;
  [[nodiscard]] http::Response answer(const http::Request& request, const Form& form) const;
  [[nodiscard]] Answer client_credentials(const http::Request& request, const Form& form, const Asker& asker) const;
  [[nodiscard]] Answer refresh_token(const http::Request& request, const Form& form, const Asker& asker) const;
  [[nodiscard]] Answer authorization_code(const http::Request& request, const Form& form, const Asker& asker) const;

  std::string issuer_;
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<const ClientAuthentication> authentication_;
  std::shared_ptr<AccessTokens> tokens_;
  std::shared_ptr<Grants> grants_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::oauth
