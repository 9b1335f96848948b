#pragma once

#include <memory>

#include "http/routes.h"
#include "oauth/access_token.h"
#include "oauth/authorization_endpoint.h"
#include "oauth/token_endpoint.h"
#include "ssa/csc/credential_authorization.h"
#include "ssa/csc/credentials.h"
#include "ssa/csc/extend_transaction.h"
#include "ssa/csc/info.h"
#include "ssa/csc/login.h"
#include "ssa/csc/sign_doc.h"
#include "ssa/csc/sign_hash.h"
#include "ssa/csc/timestamp.h"
#include "ssa/csc/v1_adapter.h"
#include "ssa/limits.h"
#include "ssa/signer/approvals.h"
#include "ssa/signer/devices.h"
#include "ssa/signer/document_signing.h"
#include "ssa/signer/identity_login.h"
#include "ssa/signer/interaction.h"

namespace intaglio::ssa {

struct ServiceConfig {
  csc::ServiceDescription description;
  std::string identity_thumbprint;  ///< of the SAM, RFC 7638
  std::chrono::seconds credential_cache{5};
  std::chrono::seconds max_sad_age{300};
  std::size_t max_hashes = 1000;
  std::string mutual_tls_url{};      ///< where the listener is that asks for a client certificate (RFC 8705); empty: there is none
  unsigned device_waits = 8;        ///< devices that may wait at the same time for something to approve
  bool client_authorities = false;  ///< clients may be known by the name in a certificate
};

struct ServiceParts {
  std::shared_ptr<protocol::SamService> sam;
  std::shared_ptr<storage::Database> database;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<const oauth::Clients> clients;
  std::shared_ptr<oauth::AccessTokens> tokens;
  std::shared_ptr<oauth::TokenEndpoint> token_endpoint;
  signer::KeyGeneratedHook key_generated;
  signer::ShortTermIssuer issue_short_term;
  std::shared_ptr<const oauth::Grants> grants;
  std::shared_ptr<oauth::AuthorizationEndpoint> authorization;  ///< nullptr: authorization codes are not offered
  csc::AskTimestampAuthority ask_timestamp_authority{};         ///< empty: signatures/timestamp is not offered
  signer::SignerNews news{};                                    ///< each may be empty
  std::shared_ptr<const signer::IdentityProvider> identity_provider{};  ///< nullptr: pages send nobody to sign in
  std::shared_ptr<Limits> limits{};                             ///< nullptr: no limits
};

/// Everything behind the public listener, as one table of routes.
class Service {
 public:
  Service(const ServiceConfig& config, const ServiceParts& parts);
  /// The routes hold this object: it outlives the router.
  void add_routes(http::Router& router);
  /// A credential was changed through another listener of this process.
  void credential_changed(const KeyId& key) { credentials_->forget(key); }
  /// From time to time: what the SAM did not take at once.
  void retry_reports() { orphans_->retry(); }

 private:
  [[nodiscard]] http::Response ready() const;
  void add_oauth_routes(http::Router& router);
  void add_guards(http::Router& router) const;
  void add_approval_routes(http::Router& router);
  void add_device_routes(http::Router& router);
  void add_document_routes(http::Router& router);
  void add_signature_routes(http::Router& router);
  void add_v1_routes(http::Router& router);
  void add_login_routes(http::Router& router);

  ServiceParts parts_;
  std::shared_ptr<SamKeys> keys_;
  std::shared_ptr<Transactions> transactions_;
  std::shared_ptr<CredentialDirectory> credentials_;
  std::shared_ptr<SadFilter> filter_;
  std::shared_ptr<signer::OrphanReports> orphans_;
  csc::Info info_;
  csc::Credentials credential_methods_;
  std::shared_ptr<const csc::AuthorisedSigning> signing_;
  std::shared_ptr<const csc::KeptAnswers> kept_answers_;
  csc::SignHash sign_hash_;
  csc::SignDoc sign_doc_;
  csc::ExtendTransaction extend_transaction_;
  signer::Interaction interaction_;
  std::shared_ptr<const signer::DeviceApprovals> devices_;
  signer::Approvals approvals_;
  signer::Devices registered_devices_;
  signer::DocumentSigning documents_;
  std::unique_ptr<const signer::IdentityLogin> identity_login_;  ///< nullptr: there is no identity provider
  csc::CredentialAuthorization authorization_methods_;
  csc::V1Adapter v1_;
  csc::Timestamp timestamp_;
  csc::Login login_;
  std::string base_url_, mutual_tls_url_;
  bool client_authorities_;
};

}  // namespace intaglio::ssa
