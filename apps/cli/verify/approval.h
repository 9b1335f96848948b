#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "evidence/approval.h"

namespace intaglio::cli {

/// An approval that somebody brings, and what an audit log says of it. The log must be verified beside it.
class ApprovalInLog {
 public:
  /// Refused when the file is no approval or the passkey's signature over it does not verify.
  [[nodiscard]] static Result<ApprovalInLog> open(const std::filesystem::path& file);

  /// The log's events, in their order.
  void see(std::string_view event);
  /// Refused unless an authorisation was granted for exactly this, while its passkey was its signer's.
  [[nodiscard]] Status check() const;
  /// JSON: who approved what, when, with what passkey, on what page.
  [[nodiscard]] std::string told() const;

 private:
  ApprovalInLog(evidence::Approval approval, protocol::Transaction transaction, ByteView encoded);
  evidence::Approval approval_;
  protocol::Transaction transaction_;
  std::string evidence_, passkey_, binding_, nonce_;  ///< as the log writes them
  bool registered_ = false;              ///< whether the passkey is the signer's, at the event that was seen last
  std::optional<bool> registered_then_;  ///< when the authorisation was granted, if it was
  std::string time_;
};

}  // namespace intaglio::cli
