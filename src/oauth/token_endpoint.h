#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "http/server.h"
#include "oauth/access_token.h"
#include "oauth/client.h"
#include "oauth/form.h"
#include "storage/database.h"

namespace intaglio::oauth {

struct TokenEndpointConfig {
  std::string issuer;          ///< accepted as audience of a client assertion
  std::string token_endpoint;  ///< the same; the address of this endpoint
  std::chrono::seconds max_assertion_life{300};
};

/// The tables of this room.
[[nodiscard]] const std::vector<storage::Migration>& migrations();

/// POST oauth2/token (RFC 6749, 4.4; csc-api 4.4): client_credentials with private_key_jwt (ES256, each assertion once) or a
/// client secret, in the header or in the body. Thread-safe.
class TokenEndpoint {
 public:
  TokenEndpoint(TokenEndpointConfig config, std::shared_ptr<const Clients> clients, std::shared_ptr<AccessTokens> tokens,
                std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);
  [[nodiscard]] http::Response answer(const http::Request& request) const;

 private:
  struct Refusal;
  struct Credentials;
  [[nodiscard]] http::Response refuse(const http::Request& request, const Refusal& refusal) const;
  /// The client that the request names and proves to be, or why not.
  [[nodiscard]] std::variant<const Client*, Refusal> authenticate(const http::Request& request, const Form& form) const;
  [[nodiscard]] Status check_assertion(const Client& client, std::string_view assertion) const;
  [[nodiscard]] Status consume_assertion(const Client& client, std::string_view jti, UnixTime until) const;

  TokenEndpointConfig config_;
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<AccessTokens> tokens_;
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::oauth
