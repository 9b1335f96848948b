#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "crypto/signer.h"
#include "http/routes.h"
#include "http/server.h"
#include "oauth/bounded_cache.h"
#include "oauth/client.h"

namespace intaglio::oauth {

struct AccessTokenConfig {
  std::string issuer;               ///< also the audience: the one resource server is this process
  std::chrono::seconds life{3600};
  std::size_t max_remembered = 4096;
};

struct IssuedToken {
  std::string token;
  std::chrono::seconds expires_in;
};

/// Access tokens as JWT (RFC 9068, typ at+jwt, ES256). A token is verified once and then known by its SHA-256 until it ends.
/// Thread-safe.
class AccessTokens {
 public:
  /// `signer`: P-256. The clients outlive this object.
  [[nodiscard]] static Result<std::unique_ptr<AccessTokens>> make(AccessTokenConfig config, std::shared_ptr<const crypto::Signer> signer,
                                                                  std::shared_ptr<const Clients> clients,
                                                                  std::shared_ptr<const Clock> clock);

  /// A service token for this client (grant client_credentials): subject and client are the same (RFC 9068, 2.2).
  [[nodiscard]] Result<IssuedToken> issue(const Client& client, std::string_view scope) const;
  /// The caller of a request by its `Authorization: Bearer` header. `invalid_request`: no such header or not of that form;
  /// `not_authorised`: no token of ours, or of a client that is gone; `ticket_expired`: it was ours.
  [[nodiscard]] Result<http::Principal> check(const http::Request& request);
  [[nodiscard]] std::size_t remembered() const { return remembered_.size(); }

 private:
  AccessTokens(AccessTokenConfig config, std::shared_ptr<const crypto::Signer> signer, std::shared_ptr<const Clients> clients,
               std::shared_ptr<const Clock> clock, std::string kid);
  struct Claims {
    std::string client, scope;
    UnixTime expires;
  };
  [[nodiscard]] Result<Claims> verify(std::string_view token, UnixTime now) const;

  AccessTokenConfig config_;
  std::shared_ptr<const crypto::Signer> signer_;
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<const Clock> clock_;
  std::string kid_;
  BoundedCache<std::shared_ptr<const Claims>> remembered_;
};

/// The answer to what `check` refused, in CSC's words (csc-api 2), with WWW-Authenticate (RFC 6750, 3).
[[nodiscard]] http::Response access_refusal(const http::Request& request, const Error& error);

}  // namespace intaglio::oauth
