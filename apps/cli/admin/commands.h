#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "json/json.h"

/// `intaglio admin`: privileged users and the SAM's management listener (docs/operate/management.md).
namespace intaglio::cli {

/// Asks for what one person may do, and prints the SAM's answer as JSON. `members`: of the request beside op, rid, iat and sam.
Status ask_sam(const std::filesystem::path& admin_file, const std::string& operation, json::Value members, const Clock& clock);
/// `intaglio admin propose`: the payload is a JSON object in a file.
Status propose(const std::filesystem::path& admin_file, const std::string& operation, const std::filesystem::path& payload_file,
               const Clock& clock);
struct ProposalOptions {
  std::filesystem::path admin_file;
  std::string proposal;
  bool yes = false;  ///< approve without a question: for scripts
};
/// `intaglio admin proposal`: one proposal with its content, and beside it what it changes (admin/effect.h).
Status show_proposal(const ProposalOptions& options, const Clock& clock);
/// `intaglio admin approve`: shows the same, asks, and names in the approval the digest of what was shown.
Status approve(const ProposalOptions& options, const Clock& clock);
struct RestoreOptions {
  std::filesystem::path admin_file, statement, out;
  bool yes = false;  ///< approve without a question: for scripts
};
/// `intaglio admin approve-restore`: shows what intaglio-sam --restore-statement wrote, asks, and signs the digest of what was shown.
/// Offline: no SAM serves then.
Status approve_restore(const RestoreOptions& options, const Clock& clock);
/// `intaglio admin execute`
Status execute(const ProposalOptions& options, const Clock& clock);

}  // namespace intaglio::cli
