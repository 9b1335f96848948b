#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "crypto/signer.h"
#include "http/routes.h"
#include "http/server.h"
#include "json/json.h"
#include "oauth/bounded_cache.h"
#include "oauth/client.h"
#include "oauth/grants.h"
#include "oauth/token_keys.h"

namespace intaglio::oauth {

struct AccessTokenConfig {
  std::string issuer;               ///< also the audience: the one resource server is this process
  std::chrono::seconds life{3600};  ///< at most max_access_token_life
  std::size_t max_remembered = 4096;
};

/// What a token is bound to (cnf, RFC 7800): whoever uses it shows that he has this too. All empty: a bearer token.
struct Confirmation {
  std::string key{};          ///< jkt: thumbprint of a key (RFC 9449, 6)
  std::string certificate{};  ///< x5t#S256: thumbprint of a client certificate (RFC 8705, 3.1)

  [[nodiscard]] bool empty() const noexcept { return key.empty() && certificate.empty(); }
};

/// A token that stands on what a signer granted.
struct GrantedToken {
  std::string grant, signer;
  std::string scope;       ///< `credential`, `service`, or both
  std::string credential;  ///< with scope `credential`: the only one that it is for
  std::chrono::seconds life;
  Confirmation bound{};
};

/// To whom an access token was issued, and when it ends by itself.
struct TokenOwner {
  std::string client;
  UnixTime expires;
};

struct IssuedToken {
  std::string token;
  std::chrono::seconds expires_in;
};

/// Access tokens as JWT (RFC 9068, typ at+jwt, ES256). A token is verified once and then known by its SHA-256 until it ends.
/// Thread-safe.
class AccessTokens {
 public:
  /// The clients outlive this object. Refused (`configuration`): a life that is too long.
  [[nodiscard]] static Result<std::unique_ptr<AccessTokens>> make(AccessTokenConfig config, TokenKeys keys,
                                                                  std::shared_ptr<const Clients> clients,
                                                                  std::shared_ptr<const Grants> grants, std::shared_ptr<const Clock> clock);
  /// The same with one key for good, P-256.
  [[nodiscard]] static Result<std::unique_ptr<AccessTokens>> make(AccessTokenConfig config, std::shared_ptr<const crypto::Signer> signer,
                                                                  std::shared_ptr<const Clients> clients,
                                                                  std::shared_ptr<const Grants> grants, std::shared_ptr<const Clock> clock);

  /// A service token for this client (grant client_credentials): subject and client are the same (RFC 9068, 2.2).
  [[nodiscard]] Result<IssuedToken> issue(const Client& client, std::string_view scope, const Confirmation& bound = {}) const;
  /// A token for this client in the name of a signer.
  [[nodiscard]] Result<IssuedToken> issue(const Client& client, const GrantedToken& granted) const;
  /// The keys that verify them, as a JWK set (RFC 7517); among them the one that will sign next.
  [[nodiscard]] Result<std::string> jwks() const;
  /// The caller of a request by its Authorization header: `Bearer`, or `DPoP` with a proof for a token that is bound to a key (RFC 9449,
  /// 7), each token by its own of the two; for one that is bound to a certificate, over a connection with it (RFC 8705, 3). `invalid_request`: no such header or not of that form;
  /// `not_authorised`: no token of ours, or of a client that is gone; `ticket_expired`: it was ours, and ended by itself or with its
  /// grant.
  [[nodiscard]] Result<http::Principal> check(const http::Request& request);
  /// The holder of a token that stands in a body, where older clients put one of scope `credential` in the place of a SAD (CSC API v2,
  /// 8.4). Refused as by `check`, and (`not_authorised`) when the token is bound: it stands where nothing is shown beside it.
  [[nodiscard]] Result<http::Principal> check_text(std::string_view token);
  /// Whether this looks like one of ours, by its unverified header: what it is, not whether it is good.
  [[nodiscard]] static bool is_access_token(std::string_view text);
  /// The owner of a token of ours that has not ended by itself. Refused as by `check`.
  [[nodiscard]] Result<TokenOwner> owner(std::string_view token) const;
  [[nodiscard]] std::chrono::seconds life() const noexcept { return config_.life; }
  [[nodiscard]] std::size_t remembered() const { return remembered_.size(); }
  /// From now on these are the keys: the same as before, and those that were announced or ended since.
  void take_keys(TokenKeys keys);

 private:
  AccessTokens(AccessTokenConfig config, TokenKeys keys, std::shared_ptr<const Clients> clients, std::shared_ptr<const Grants> grants,
               std::shared_ptr<const Clock> clock);
  struct Claims {
    std::string client, scope;
    std::string signer, grant, credential;  ///< empty: a token of the application by itself
    Confirmation bound;
    UnixTime expires;
  };
  [[nodiscard]] std::shared_ptr<const TokenKeys> keys() const;
  [[nodiscard]] Result<std::string> sign(const json::Value& payload, UnixTime now) const;
  [[nodiscard]] Result<Claims> verify(std::string_view token, UnixTime now) const;
  /// The claims of a token of ours whose client is still registered, verified once.
  [[nodiscard]] Result<std::shared_ptr<const Claims>> recognise(std::string_view token, const crypto::Sha256Digest& digest, UnixTime now);
  [[nodiscard]] Result<http::Principal> live(const Claims& claims, const crypto::Sha256Digest& digest) const;

  AccessTokenConfig config_;
  mutable std::mutex keys_mutex_;
  std::shared_ptr<const TokenKeys> keys_;
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<const Grants> grants_;
  std::shared_ptr<const Clock> clock_;
  BoundedCache<std::shared_ptr<const Claims>> remembered_;
};

/// How a request shows its token.
enum class TokenScheme { bearer, dpop };
struct ShownToken {
  TokenScheme scheme;
  std::string_view token;
};
/// The token in the header Authorization. Refused (`invalid_request`): no header, or not of that form.
[[nodiscard]] Result<ShownToken> shown_token(const http::Request& request);
/// The token in the header `Authorization: Bearer` of a request. Refused (`invalid_request`): no header, or not of that form.
[[nodiscard]] Result<std::string_view> bearer_token(const http::Request& request);
/// The answer to what `check` refused, in CSC's words (csc-api 2), with WWW-Authenticate (RFC 6750, 3).
[[nodiscard]] http::Response access_refusal(const http::Request& request, const Error& error);

}  // namespace intaglio::oauth
