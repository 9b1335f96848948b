#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "audit/log.h"
#include "config/document.h"
#include "http/server.h"
#include "pki/ca/ceremony.h"
#include "pki/service.h"
#include "token/token.h"

namespace intaglio::apps::pki {

struct TokenSettings {
  token::TokenConfig config;
  std::optional<std::filesystem::path> softhsm_conf;
};

/// A key on the token: its CKA_ID as text, and what it is (P-256 unless stated).
struct KeySettings {
  std::string id;
  crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::p256;
};

/// pki.toml: the running service, and the ceremony that makes its keys.
struct Settings {
  std::string name, log_level;
  ClockSource clock;
  std::filesystem::path database;
  audit::LogConfig audit;
  TokenSettings token;
  KeySettings issuing_key, ocsp_key, checkpoint_key;
  std::filesystem::path root_certificate, issuing_certificate, root_list;
  intaglio::pki::AuthorityName authority_name;
  bool qualified;
  std::filesystem::path profiles, algorithm_policy, sam_identity;
  std::string public_url;
  std::chrono::seconds request_max_age, assertion_max_age;
  std::vector<std::pair<std::string, crypto::PublicKey>> operators;
  intaglio::pki::PublisherConfig publisher;
  intaglio::pki::ResponderConfig responder;
  std::chrono::days responder_validity;
  std::chrono::seconds ocsp_cache;
  /// The role `tsa`, when it is on.
  struct TimeStamping {
    KeySettings key;
    intaglio::pki::UnitProfile unit;
    intaglio::pki::TimestampPolicy policy;
  };
  std::optional<TimeStamping> time_stamping;
  http::ListenerConfig internal_listener, public_listener;
  std::optional<http::ListenerConfig> metrics_listener;  ///< none: no figures are shown
  std::string effective;  ///< canonical text, for the digest in the audit log
};

/// pki-root.toml: the root, for ceremonies only.
struct RootSettings {
  std::string log_level;
  ClockSource clock;
  TokenSettings token;
  KeySettings key;
  std::filesystem::path certificate, list;
  intaglio::pki::AuthorityName name;
  std::chrono::days validity, issuing_validity, list_validity;
  std::string public_url;
};

[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& path);
[[nodiscard]] Result<RootSettings> load_root_settings(const std::filesystem::path& path);
/// Every key of pki.toml with its documentation, for `--describe-config`.
[[nodiscard]] std::string describe_settings();

}  // namespace intaglio::apps::pki
