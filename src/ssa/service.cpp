#include "ssa/service.h"

#include <algorithm>

#include "base/check.h"
#include "json/json.h"
#include "oauth/metadata.h"
#include "ssa/csc/refusal.h"

namespace intaglio::ssa {
namespace {

using http::Access;
using http::PathParameters;
using http::Principal;
using http::Request;

/// CSC API v2, table 2: an unimplemented method, or a path that no version knows.
http::Response not_implemented() { return http::error_answer(501, "not_implemented", "The method is not implemented"); }

bool has_scope(const Principal& caller, std::string_view scope) {
  return std::find(caller.scopes.begin(), caller.scopes.end(), scope) != caller.scopes.end();
}

}  // namespace

Service::Service(const ServiceConfig& config, const ServiceParts& parts)
    : parts_(parts),
      keys_(std::make_shared<SamKeys>(parts.sam, config.identity_thumbprint, parts.clock)),
      transactions_(std::make_shared<Transactions>(parts.database, parts.clock)),
      credentials_(std::make_shared<CredentialDirectory>(parts.sam, parts.clock, config.credential_cache)),
      filter_(std::make_shared<SadFilter>(keys_, transactions_, credentials_, parts.clock, config.max_sad_age)),
      orphans_(std::make_shared<signer::OrphanReports>(parts.sam)),
      info_(config.description),
      credential_methods_(credentials_, parts.clients, parts.clock, parts.authorization != nullptr),
      signing_(std::make_shared<const csc::AuthorisedSigning>(
          csc::AuthorisedSigning::Rooms{parts.sam, filter_, credentials_, parts.grants, parts.tokens, parts.clock})),
      kept_answers_(std::make_shared<const csc::KeptAnswers>(parts.database, credentials_, parts.clock)),
      sign_hash_(signing_, kept_answers_, config.max_hashes),
      sign_doc_(credential_methods_, signing_, kept_answers_, config.max_hashes),
      extend_transaction_(parts.sam, filter_, config.max_hashes),
      interaction_(signer::Rooms{parts.sam, keys_, transactions_, credentials_, filter_, parts.clients, parts.clock, parts.key_generated,
                                 parts.issue_short_term, orphans_, parts.news, parts.limits}),
      devices_(std::make_shared<const signer::DeviceApprovals>(parts.database, parts.clock)),
      approvals_(parts.authorization, interaction_, devices_),
      registered_devices_({parts.sam, parts.authorization, std::make_shared<const signer::DeviceSessions>(parts.database, parts.clock),
                           parts.clock, config.device_waits}),
      documents_(parts.authorization, interaction_, signing_,
                 signer::Rooms{parts.sam, keys_, transactions_, credentials_, filter_, parts.clients, parts.clock, {}, {}, orphans_}),
      identity_login_(parts.identity_provider ? std::make_unique<const signer::IdentityLogin>(parts.authorization, parts.identity_provider,
                                                                                              parts.database, parts.clock)
                                              : nullptr),
      authorization_methods_(credential_methods_, approvals_, devices_, parts.clients, parts.clock, config.max_hashes),
      v1_(config.description, credential_methods_, authorization_methods_, sign_hash_, extend_transaction_),
      timestamp_(parts.ask_timestamp_authority),
      login_(parts.token_endpoint->authentication(), parts.tokens, parts.token_endpoint),
      base_url_(config.description.base_url),
      mutual_tls_url_(config.mutual_tls_url),
      client_authorities_(config.client_authorities) {}

http::Response Service::ready() const {
  // The keys are asked from the SAM when they are not known: ready means that a signature could be served.
  const auto reachable = keys_->sad_key();
  if (reachable) return http::json_answer(R"({"status":"ready"})");
  return http::json_answer(R"({"status":"the SAM does not answer"})", 503);
}

void Service::add_guards(http::Router& router) const {
  const auto guard = [&](Access access, bool (*admits)(const Principal&)) {
    router.authorise_with(
        access,
        [tokens = parts_.tokens, admits](const Request& request) -> Result<Principal> {
          auto caller = tokens->check(request);
          if (!caller) return caller.error();
          if (refused_by("ssa.token.scope", !admits(*caller))) {
            return Error{ErrorCode::not_authorised, "the access token is not for this method"};
          }
          return caller;
        },
        oauth::access_refusal);
  };
  guard(Access::bearer, [](const Principal& caller) { return has_scope(caller, "service") && caller.grant.empty(); });
  guard(Access::signer_bearer, [](const Principal& caller) { return has_scope(caller, "service"); });
  guard(Access::credential_bearer, [](const Principal& caller) { return has_scope(caller, "service") || has_scope(caller, "credential"); });
}

void Service::add_oauth_routes(http::Router& router) {
  router.add("POST", "/csc/v2/oauth2/token", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return parts_.token_endpoint->answer(q); });
  router.add("POST", "/csc/v2/oauth2/revoke", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return parts_.token_endpoint->revoke(q); });
  const std::string at = "/csc/v2/oauth2";
  const auto about = oauth::metadata({base_url_, base_url_ + at, parts_.authorization != nullptr,
                                      mutual_tls_url_.empty() ? std::string() : mutual_tls_url_ + at, client_authorities_});
  router.add("GET", "/.well-known/oauth-authorization-server", Access::anonymous,
             [about](const Request&, const PathParameters&) { return http::json_answer(about); });
  router.add("GET", "/csc/v2/oauth2/jwks", Access::anonymous, [tokens = parts_.tokens](const Request& q, const PathParameters&) {
    auto keys = tokens->jwks();
    return keys ? http::json_answer(std::move(*keys)) : csc::refuse(q, keys.error());
  });
}

void Service::add_approval_routes(http::Router& router) {
  router.authorise_with(
      Access::approval_bearer, [this](const Request& request) { return approvals_.check(request); }, oauth::access_refusal);
  router.add("GET", "/csc/v2/oauth2/authorize", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return approvals_.authorize(q); });
  router.add("POST", "/csc/v2/oauth2/pushed_authorize", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return parts_.authorization->push(q); });
  router.add("POST", "/sic/v1/approvals", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return approvals_.exchange(q); });
  router.add("POST", "/sic/v1/approvals/messages", Access::approval_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return approvals_.approve(q, who); });
  router.add("POST", "/sic/v1/approvals/refusals", Access::approval_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return approvals_.deny(q, who); });
  if (!identity_login_) return;
  router.add("POST", "/sic/v1/approvals/logins", Access::approval_bearer,
             [this](const Request& q, const PathParameters&, const Principal&) { return identity_login_->begin(q); });
  router.add("POST", "/sic/v1/approvals/logins/codes", Access::approval_bearer,
             [this](const Request& q, const PathParameters&, const Principal&) { return identity_login_->finish(q); });
}

void Service::add_device_routes(http::Router& router) {
  router.authorise_with(
      Access::device_bearer, [this](const Request& request) { return registered_devices_.check(request); }, oauth::access_refusal);
  router.add("POST", "/sic/v1/devices/sessions", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return registered_devices_.sign_in(q); });
  router.add("POST", "/sic/v1/devices/waiting", Access::device_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return registered_devices_.waiting(q, who); });
  router.add("POST", "/sic/v1/devices/openings", Access::device_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return registered_devices_.open(q, who); });
}

void Service::add_document_routes(http::Router& router) {
  router.add("POST", "/sic/v1/documents", Access::bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return documents_.begin(q, who); });
  router.add("POST", "/sic/v1/documents/handles", Access::anonymous,
             [this](const Request& q, const PathParameters&) { return documents_.exchange(q); });
  router.add("POST", "/sic/v1/documents/openings", Access::approval_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return documents_.open(q, who); });
  router.add("POST", "/sic/v1/documents/messages", Access::approval_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return documents_.sign(q, who); });
}

void Service::add_signature_routes(http::Router& router) {
  const auto authorization = [&](std::string_view method,
                                 http::Response (csc::CredentialAuthorization::*handler)(const Request&, const Principal&) const) {
    router.add("POST", "/csc/v2/credentials/" + std::string(method), Access::signer_bearer,
               [this, handler](const Request& q, const PathParameters&, const Principal& who) {
                 return (authorization_methods_.*handler)(q, who);
               });
  };
  authorization("authorize", &csc::CredentialAuthorization::authorize);
  authorization("authorizeCheck", &csc::CredentialAuthorization::check);
  authorization("getChallenge", &csc::CredentialAuthorization::challenge);
  router.add("POST", "/csc/v2/credentials/extendTransaction", Access::signer_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return extend_transaction_.answer(q, who); });
  router.add("POST", "/csc/v2/signatures/signHash", Access::credential_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return sign_hash_.answer(q, who); });
  router.add("POST", "/csc/v2/signatures/signDoc", Access::credential_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return sign_doc_.answer(q, who); });
  router.add("POST", "/csc/v2/signatures/signPolling", Access::credential_bearer,
             [this](const Request& q, const PathParameters&, const Principal& who) { return kept_answers_->poll(q, who); });
}

void Service::add_login_routes(http::Router& router) {
  if (!login_.offered()) return;
  for (const std::string base : {"/csc/v1/auth/", "/csc/v2/auth/"}) {
    router.add("POST", base + "login", Access::anonymous, [this](const Request& q, const PathParameters&) { return login_.login(q); });
    router.add("POST", base + "revoke", Access::signer_bearer,
               [this](const Request& q, const PathParameters&, const Principal& who) { return login_.revoke(q, who); });
  }
}

void Service::add_v1_routes(http::Router& router) {
  const auto v1 = [&](std::string_view method, Access access,
                      http::Response (csc::V1Adapter::*handler)(const Request&, const Principal&) const) {
    router.add("POST", "/csc/v1/" + std::string(method), access,
               [this, handler](const Request& q, const PathParameters&, const Principal& who) { return (v1_.*handler)(q, who); });
  };
  // Clients of v1 get it, too.
  for (const auto* method : {"GET", "POST"}) {
    router.add(method, "/csc/v1/info", Access::anonymous, [this](const Request& q, const PathParameters&) { return v1_.info(q); });
  }
  v1("credentials/list", Access::signer_bearer, &csc::V1Adapter::list);
  v1("credentials/info", Access::credential_bearer, &csc::V1Adapter::credential_info);
  v1("credentials/authorize", Access::signer_bearer, &csc::V1Adapter::authorize);
  v1("credentials/extendTransaction", Access::signer_bearer, &csc::V1Adapter::extend_transaction);
  v1("credentials/sendOTP", Access::signer_bearer, &csc::V1Adapter::send_otp);
  v1("signatures/signHash", Access::credential_bearer, &csc::V1Adapter::sign_hash);
  router.answer_unknown("/csc/v1", not_implemented());
}

void Service::add_routes(http::Router& router) {
  add_guards(router);
  if (parts_.limits) router.gate_with(parts_.limits->gate());
  add_oauth_routes(router);
  if (parts_.authorization) {
    add_approval_routes(router);
    add_device_routes(router);
    add_document_routes(router);
  }

  const auto csc = [&](std::string_view method, Access access,
                       http::Response (csc::Credentials::*handler)(const Request&, const Principal&) const) {
    router.add(
        "POST", "/csc/v2/" + std::string(method), access,
        [this, handler](const Request& q, const PathParameters&, const Principal& who) { return (credential_methods_.*handler)(q, who); });
  };
  const auto sic = [&](std::string_view path, http::Response (signer::Interaction::*handler)(const Request&, const Principal&) const) {
    router.add("POST", path, Access::bearer,
               [this, handler](const Request& q, const PathParameters&, const Principal& who) { return (interaction_.*handler)(q, who); });
  };

  router.add("POST", "/csc/v2/info", Access::anonymous, [this](const Request& q, const PathParameters&) { return info_.answer(q); });
  router.add("GET", "/csc/v2/logo", Access::anonymous, [](const Request&, const PathParameters&) { return csc::Info::logo(); });
  csc("credentials/list", Access::signer_bearer, &csc::Credentials::list);
  csc("credentials/info", Access::credential_bearer, &csc::Credentials::info);
  add_signature_routes(router);
  for (const auto* path : {"/csc/v1/signatures/timestamp", "/csc/v2/signatures/timestamp"}) {
    if (!timestamp_.offered()) break;
    router.add("POST", path, Access::signer_bearer,
               [this](const Request& q, const PathParameters&, const Principal&) { return timestamp_.answer(q); });
  }
  add_login_routes(router);
  router.answer_unknown("/csc/v2", not_implemented());
  add_v1_routes(router);

  router.add("GET", "/sic/v1/sam", Access::bearer, [this](const Request& q, const PathParameters&) { return interaction_.sam(q); });
  sic("/sic/v1/transactions", &signer::Interaction::open_transaction);
  sic("/sic/v1/sessions", &signer::Interaction::open_one_time);
  sic("/sic/v1/enrolments", &signer::Interaction::open_enrolment);
  sic("/sic/v1/keys", &signer::Interaction::open_key);
  sic("/sic/v1/factors", &signer::Interaction::open_factor_change);
  sic("/sic/v1/suspensions", &signer::Interaction::open_suspension);
  sic("/sic/v1/destructions", &signer::Interaction::open_destruction);
  sic("/sic/v1/grants", &signer::Interaction::open_grant);
  sic("/sic/v1/grants/ends", &signer::Interaction::end_grant);
  sic("/sic/v1/messages", &signer::Interaction::relay_message);
  router.add("GET", "/sic/v1/receipts/{index}", Access::bearer,
             [this](const Request& q, const PathParameters& path) { return interaction_.receipt(q, path["index"]); });

  router.add("GET", "/health/alive", Access::anonymous,
             [](const Request&, const PathParameters&) { return http::json_answer(R"({"status":"alive"})"); });
  router.add("GET", "/health/ready", Access::anonymous, [this](const Request&, const PathParameters&) { return ready(); });
}

}  // namespace intaglio::ssa
