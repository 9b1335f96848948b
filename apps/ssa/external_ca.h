#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/document.h"
#include "outbound/http_client.h"
#include "registration/authority.h"
#include "registration/operator_gate.h"
#include "storage/leases.h"

namespace intaglio::apps::ssa {

/// [external_ca] of ssa.toml (docs/operate/external-ca.md).
struct ExternalCaSettings {
  std::string url, crl_url, root_crl_url;
  outbound::HttpClientConfig transport;
  std::filesystem::path issuers, anchors;
  bool by_secret = false;
  std::filesystem::path certificate, private_key, authority_certificate;  ///< protection by signature
  std::string reference;                                                  ///< protection by secret
  std::filesystem::path secret_file;
  std::chrono::days longest_validity{};
  bool allow_modifications = false;
  std::vector<std::string> extended_key_usages;
  std::size_t max_polls = 0, max_waiting = 0;
  std::chrono::seconds deadline{};
  std::filesystem::path sam_identity;
  std::chrono::seconds request_max_age{}, assertion_max_age{};
  registration::OperatorGate::Operators operators;
};

[[nodiscard]] ExternalCaSettings read_external_ca(config::Document& document);
/// Reads keys and certificates; refused (`configuration`) where one is missing, readable by others, or does not fit.
[[nodiscard]] Result<std::shared_ptr<registration::CertificationAuthority>> open_external_ca(
    const ExternalCaSettings& settings, const std::shared_ptr<storage::Database>& database, std::shared_ptr<storage::Leases> leases,
    std::shared_ptr<const Clock> clock);

}  // namespace intaglio::apps::ssa
