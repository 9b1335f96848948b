#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/database.h"

namespace intaglio::oauth {

/// An authorization request that waits for its signer, with what the SAM opened for it.
struct PendingApproval {
  std::string client;
  std::string request;  ///< parameters of the authorization request
  std::string ticket, statement;
  Bytes transaction;    ///< T in clear
  Bytes nonce;          ///< of the transaction
  UnixTime expires;
  std::string signer{};  ///< whose registered devices are told of it, without the handle; empty: nobody's
};

/// Requests on their way to a signer: pushed ones (RFC 9126), and those before the signer. References, handles and bearers are random,
/// kept as SHA-256, and end by themselves. Thread-safe.
class PendingRequests {
 public:
  PendingRequests(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  static constexpr std::chrono::seconds pushed_life{90};

  /// The request_uri under which the client, and nobody else, may use these parameters once.
  [[nodiscard]] Result<std::string> push(std::string_view client, std::string_view parameters) const;
  /// The parameters, which are gone afterwards. `not_found`: none, of another client, used or expired.
  [[nodiscard]] Result<std::string> take_pushed(std::string_view reference, std::string_view client) const;

  /// The one-time handle that goes to the page. `busy`: too many wait.
  [[nodiscard]] Result<std::string> begin(const PendingApproval& pending) const;
  struct Exchanged {
    std::string bearer;
    PendingApproval pending;
  };
  /// The bearer for a handle, once. `not_found`: none, used or expired.
  [[nodiscard]] Result<Exchanged> exchange(std::string_view handle) const;
  /// What waits for this signer, nobody has opened, and his devices are told of: the newest, at most max_told.
  static constexpr std::size_t max_told = 8;
  struct Told {
    std::string name;  ///< of the request among us; opens nothing by itself
    PendingApproval pending;
  };
  [[nodiscard]] Result<std::vector<Told>> told_to(std::string_view signer) const;
  /// As exchange(), for a device of this signer. `not_found`: none of his, used or expired.
  [[nodiscard]] Result<Exchanged> exchange_told(std::string_view name, std::string_view signer) const;
  /// `not_found`: no bearer of ours, finished or expired.
  [[nodiscard]] Result<PendingApproval> find(std::string_view bearer) const;
  /// Its page leaves the browser for a while: a new one-time handle takes the place of the bearer. Part of the caller's transaction;
  /// `not_found` when it had ended.
  [[nodiscard]] Result<std::string> park(storage::Transaction& transaction, std::string_view bearer) const;
  /// Ends it; part of the caller's transaction. `not_found` when it had ended.
  [[nodiscard]] Status finish(storage::Transaction& transaction, std::string_view bearer) const;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::oauth
