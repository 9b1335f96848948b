#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "audit/log.h"
#include "config/document.h"
#include "metrics/metrics.h"
#include "notice/courier.h"
#include "token/token.h"

namespace intaglio::apps::ssa {

/// [notices] of ssa.toml (deploy/examples/ssa-notices.toml).
struct NoticeSettings {
  std::filesystem::path templates, versions;
  std::string sealing_key;
  notice::Values deployment;
  std::optional<outbound::SmtpConfig> mail;
  std::string from;
  std::optional<outbound::HttpClientConfig> webhook;
  std::string webhook_url;
  std::filesystem::path webhook_secret;
};
[[nodiscard]] NoticeSettings read_notices(config::Document& document, const std::string& service, bool described);

/// The queue of notices over this database, with its templates read and its channels opened. Refused (`configuration`): a template with a fault,
/// a secret that is missing or readable by others. `log` outlives it.
[[nodiscard]] Result<std::shared_ptr<notice::Outbox>> open_notices(const NoticeSettings& settings,
                                                                   const std::shared_ptr<token::Token>& token,
                                                                   const std::shared_ptr<storage::Database>& database, audit::Log& log,
                                                                   const std::shared_ptr<const Clock>& clock);

/// How many notices stand where: intaglio_notices by state and channel.
[[nodiscard]] metrics::Source notice_figures(const std::shared_ptr<notice::Outbox>& outbox);

}  // namespace intaglio::apps::ssa
