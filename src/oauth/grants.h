#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/digest.h"
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

  static constexpr std::chrono::hours refresh_life{24 * 30};

  /// The first refresh token of a grant, 43 characters; it and what is made of it end together, after refresh_life.
  [[nodiscard]] Result<std::string> add_refresh_token(std::string_view grant) const;
  struct Refreshed {
    std::string grant, signer;
    std::string token;  ///< the refresh token that takes the place of the one that was used
  };
  /// Uses a refresh token, once. Refused: unknown, another client's, expired. A token that was used before ends its grant (RFC 9700,
  /// 4.14.2): one of the two who have it is a thief.
  [[nodiscard]] std::variant<Refreshed, Refusal> refresh(std::string_view token, const Client& client) const;

  /// Ends the grant of a refresh token of this client, used or not. `not_found`: it is none.
  Status revoke_refresh_token(std::string_view token, const Client& client) const;
  /// Ends one access token before its time.
  Status revoke_access_token(std::string_view token, UnixTime until) const;

  /// Remembers a proof of possession until it could not be used again. `replayed`: it was used before.
  Status use_proof(const crypto::Sha256Digest& proof, UnixTime until) const;

  /// Refused (`ticket_expired`) when this access token was revoked, or its grant ended or is not known; `grant` is empty for a token
  /// of an application by itself. What was found to be in force is asked of the database again after each commit and in each second.
  [[nodiscard]] Status check_live(const crypto::Sha256Digest& token, std::string_view grant) const;

 private:
  class LiveTokens;
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
  std::shared_ptr<LiveTokens> live_;
};

}  // namespace intaglio::oauth
