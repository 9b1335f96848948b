#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "base/clock.h"
#include "config/document.h"
#include "external_ca.h"
#include "http/server.h"
#include "identity_provider.h"
#include "notices.h"
#include "oauth/client.h"
#include "outbound/http_client.h"
#include "protocol/wire.h"
#include "registration/endpoints.h"
#include "ssa/service.h"
#include "ssa/signer/pages.h"
#include "token/token.h"

namespace intaglio::apps::ssa {

/// ssa.toml (deploy/examples/ssa.toml).
struct Settings {
  std::string name, log_level;
  ClockSource clock;
  intaglio::ssa::ServiceConfig service;
  http::ListenerConfig public_listener, registration_listener;
  registration::SecondPerson second_person;
  std::optional<http::ListenerConfig> metrics_listener;  ///< none: no figures are shown
  std::optional<http::ListenerConfig> pages_listener;  ///< none: the signer's pages are served elsewhere, or not at all
  std::optional<http::ListenerConfig> mutual_tls_listener;  ///< none: no client shows a certificate
  std::vector<crypto::Certificate> client_authorities;
  intaglio::ssa::signer::PagesConfig pages;
  std::filesystem::path database;
  std::optional<storage::PostgresqlAddress> postgresql;  ///< in place of the file
  audit::LogConfig audit;
  token::TokenConfig token;
  std::filesystem::path softhsm_conf;  ///< empty: what the environment says
  std::string access_token_key, checkpoint_key;
  std::vector<protocol::wire::ClientConfig> sam;  ///< one for each node
  std::optional<ExternalCaSettings> external_ca;  ///< in place of the PKI below
  outbound::HttpClientConfig pki;
  std::string pki_base_url;
  std::string timestamp_url;  ///< empty: signatures/timestamp is not offered
  outbound::HttpClientConfig timestamp;
  std::optional<NoticeSettings> notices;  ///< none: signers are told nothing
  std::optional<IdentityProviderSettings> identity_provider;  ///< none: pages send nobody to sign in
  std::string approval_page;  ///< empty: authorization codes are not offered
  std::chrono::seconds access_token_life, max_assertion_life, next_token_key;
  std::vector<oauth::Client> clients;
  intaglio::ssa::LimitsConfig limits;
  std::string effective;  ///< canonical text, for the digest in the audit log
};

[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& path);
/// Every key with its documentation, for `--describe-config`.
[[nodiscard]] std::string describe_settings();

}  // namespace intaglio::apps::ssa
