#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "json/json.h"
#include "protocol/binding.h"

namespace intaglio::cli {

/// An approval that somebody brings, by a passkey, a device or an identity, and what an audit log says of it. The log must be verified beside it.
class ApprovalInLog {
 public:
  /// Refused when the file is no approval or the signature over it, of the passkey, of the device or of the identity provider, does not verify.
  [[nodiscard]] static Result<ApprovalInLog> open(const std::filesystem::path& file);

  /// The log's events, in their order.
  void see(std::string_view event);
  /// Refused unless an authorisation was granted for exactly this, while its passkey, device or identity was its signer's.
  [[nodiscard]] Status check() const;
  /// JSON: who approved what, when, with what passkey on what page, with what device or as whom at which identity provider.
  [[nodiscard]] std::string told() const;

 private:
  /// The factor that approved: `kind` is the field under which the log names it, `shown` what is told of it.
  struct Factor {
    std::string kind, name;
    json::Value shown;
  };
  /// What both forms have in common.
  struct Approved {
    protocol::Transaction transaction;
    ByteView encoded_transaction, encoded;
    protocol::Terms terms;
    std::string act;
  };
  ApprovalInLog(Approved approved, Factor factor);

  protocol::Transaction transaction_;
  protocol::Terms terms_;
  std::string act_;
  Factor factor_;
  std::string evidence_, binding_, nonce_;  ///< as the log writes them
  bool registered_ = false;  ///< whether the factor is the signer's, at the event that was seen last
  std::optional<bool> registered_then_;  ///< when the authorisation was granted, if it was
  std::string time_;
};

}  // namespace intaglio::cli
