#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "base/clock.h"
#include "config/document.h"
#include "protocol/wire.h"
#include "storage/database.h"
#include "token/token.h"

namespace intaglio::apps::sam {

/// sam.toml: where things are. Nothing in it decides (see deploy/examples/sam.toml).
struct Settings {
  std::string node, name, log_level;
  std::filesystem::path database;                        ///< a file of SQLite, unless
  std::optional<storage::PostgresqlAddress> postgresql;  ///< it stands on a server
  ClockSource clock;
  token::TokenConfig token;
  std::optional<token::TokenConfig> key_token;  ///< of signers' keys, where `token` holds the SAM's own alone
  protocol::wire::ServerConfig listener;
  std::optional<protocol::wire::ServerConfig> management;
  audit::LogConfig audit;
  std::string effective;  ///< canonical text, for the digest in the audit log
};

[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& path);
/// Every key with its documentation, for `--describe-config`.
[[nodiscard]] std::string describe_settings();

}  // namespace intaglio::apps::sam
