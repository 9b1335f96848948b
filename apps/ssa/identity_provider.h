#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "config/document.h"
#include "ssa/signer/identity_provider.h"

namespace intaglio::apps::ssa {

/// [identity_provider] of ssa.toml (deploy/examples/ssa-identity-provider.toml).
struct IdentityProviderSettings {
  intaglio::ssa::signer::IdentityProviderConfig provider;
  outbound::HttpClientConfig transport;
  bool by_secret = false;
  std::filesystem::path private_key, secret_file;  ///< the one of the two that `by_secret` says
  std::string key_id, assertion_audience;
};

/// After [oauth], whose approval_page is where the provider sends signers back.
[[nodiscard]] IdentityProviderSettings read_identity_provider(config::Document& document, const std::string& approval_page, bool described);
/// Reads the key or the secret; refused (`configuration`) where it is missing, readable by others, or of another kind.
[[nodiscard]] Result<std::shared_ptr<const intaglio::ssa::signer::IdentityProvider>> open_identity_provider(
    const IdentityProviderSettings& settings, std::shared_ptr<const Clock> clock);

}  // namespace intaglio::apps::ssa
