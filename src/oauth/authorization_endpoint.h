#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.h"
#include "oauth/authorization_request.h"
#include "oauth/client_authentication.h"
#include "oauth/grants.h"
#include "oauth/pending.h"

namespace intaglio::oauth {

struct AuthorizationConfig {
  std::string issuer;         ///< goes into every answer as `iss`
  std::string approval_page;  ///< https, without fragment: where a signer is sent, with the one-time handle in the fragment
};

/// What the SAM opened for an authorization request.
struct OpenedApproval {
  std::string ticket, statement;
  Bytes transaction, nonce;
  UnixTime expires;
};
/// Who brings a request in a client's name: the client, which has shown who it is, or anybody who knows its id.
enum class Origin { client, anybody };
/// Opens the transaction of a credential request in the name of the client; a refusal goes back to the client.
using OpenApproval = std::function<Result<OpenedApproval>(const Client& client, const CredentialRequest& request, Origin origin)>;

/// The authorization endpoint (RFC 6749, 3.1; code with PKCE S256 only, RFC 7636) and pushed requests (RFC 9126). There is no session
/// and no cookie: each request is approved by itself, by a message that the SAM verifies, on the page that holds the handle.
/// Thread-safe.
class AuthorizationEndpoint {
 public:
  AuthorizationEndpoint(AuthorizationConfig config, std::shared_ptr<const Clients> clients,
                        std::shared_ptr<const ClientAuthentication> authentication, std::shared_ptr<PendingRequests> pending,
                        std::shared_ptr<Grants> grants, std::shared_ptr<storage::Database> database);

  /// POST oauth2/pushed_authorize.
  [[nodiscard]] http::Response push(const http::Request& request) const;
  /// GET oauth2/authorize: to the page, or back to the client; never anywhere when client or redirect address are wrong.
  [[nodiscard]] http::Response authorize(const http::Request& request, const OpenApproval& open) const;

  [[nodiscard]] Result<PendingRequests::Exchanged> exchange(std::string_view handle) const { return pending_->exchange(handle); }
  /// What a device of this signer is told of, and opens in the place of the page.
  [[nodiscard]] Result<std::vector<PendingRequests::Told>> told_to(std::string_view signer) const { return pending_->told_to(signer); }
  [[nodiscard]] Result<PendingRequests::Exchanged> exchange_told(std::string_view name, std::string_view signer) const {
    return pending_->exchange_told(name, signer);
  }
  [[nodiscard]] Result<PendingApproval> find(std::string_view bearer) const { return pending_->find(bearer); }
  /// Puts a request before its signer whose answer goes another way than a redirect (CSC API v2, 11.6): the page's address with the
  /// one-time handle. `busy`: too many wait.
  [[nodiscard]] Result<std::string> begin(const PendingApproval& pending) const;
  /// The page of this bearer leaves the browser for a while: the one-time handle with which it comes back, after `also` was given it, in
  /// one transaction. `not_found` when the approval had ended.
  [[nodiscard]] Result<std::string> park(
      std::string_view bearer, const std::function<Status(storage::Transaction& transaction, std::string_view handle)>& also) const;
  /// Ends such an approval, in one transaction with what `also` writes. `not_found` when it had ended.
  [[nodiscard]] Status finish(std::string_view bearer, const std::function<Status(storage::Transaction&)>& also) const;

  /// What the SAM authorised for this approval; gives where the signer's browser goes next, with the code.
  [[nodiscard]] Result<std::string> approved(std::string_view bearer, const PendingApproval& pending, std::string_view signer,
                                             const Secret& sad, UnixTime sad_expires) const;
  /// The signer declined.
  [[nodiscard]] Result<std::string> denied(std::string_view bearer, const PendingApproval& pending) const;

 private:
  [[nodiscard]] Result<RedirectTarget> target_of(const PendingApproval& pending) const;

  AuthorizationConfig config_;
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<const ClientAuthentication> authentication_;
  std::shared_ptr<PendingRequests> pending_;
  std::shared_ptr<Grants> grants_;
  std::shared_ptr<storage::Database> database_;
};

}  // namespace intaglio::oauth
