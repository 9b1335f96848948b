#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/secret.h"
#include "oauth/client.h"
#include "oauth/refusal.h"
#include "storage/database.h"

namespace intaglio::oauth {

/// What signers granted to applications, from the code on. A grant ends for good: with it every token that came from it.
/// Codes are kept as their SHA-256, a SAD only encrypted under HKDF of the code or the access token that may use it (TC-12).
/// Thread-safe.
class Grants {
 public:
  Grants(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  /// What a signer approved, as the SAM authorised it.
  struct Approved {
    std::string client, signer;
    std::string request;  ///< parameters of the authorization request
    Secret sad;
    UnixTime sad_expires;
  };
  /// A new grant and its code, 43 characters, for 60 seconds; part of the caller's transaction.
  [[nodiscard]] Result<std::string> add(storage::Transaction& transaction, const Approved& approved) const;

  struct Redeemed {
    std::string grant, signer, request;
    Secret sad;
    UnixTime sad_expires;
  };
  using Check = std::function<std::optional<Refusal>(const std::string& request)>;
  /// Uses the code, once. Refused: unknown, another client's, expired, or what `check` says of its request. A code that was used
  /// before ends its grant (RFC 6749, 4.1.2): one of the two who have it is a thief.
  [[nodiscard]] std::variant<Redeemed, Refusal> redeem(std::string_view code, const Client& client, const Check& check) const;

  /// Keeps the SAD for whoever shows this token.
  Status park(std::string_view grant, std::string_view token, const Secret& sad, UnixTime until) const;
  /// `sad_invalid`: none was kept, it ended, or it was kept for another token.
  [[nodiscard]] Result<Secret> parked(std::string_view grant, std::string_view token) const;

  /// Refused (`ticket_expired`) when the grant ended or is not known.
  [[nodiscard]] Status check_live(std::string_view grant) const;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::oauth
