#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/secret.h"
#include "storage/database.h"

namespace intaglio::ssa::signer {

/// Approvals that an application waits for by a handle (CSC API v2, 11.6 and 11.7) while the signer decides on a device of his own. The
/// handle is kept as its SHA-256; what the SAM authorised is sealed to a key pair of this approval whose private half only the handle
/// opens (TC-12). Thread-safe.
class DeviceApprovals {
 public:
  DeviceApprovals(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  struct Begun {
    std::string handle;  ///< for the client alone; 43 characters
    std::string name;    ///< of this approval among us: base64url of the handle's digest
  };
  /// A new approval of this client until `expires`, when the transaction ends.
  [[nodiscard]] Result<Begun> begin(std::string_view client, UnixTime expires) const;
  /// The signer approved; part of the caller's transaction. It can be fetched until the SAD ends. `not_found`: none waits under this name.
  Status approved(storage::Transaction& transaction, std::string_view name, const Secret& sad, UnixTime sad_expires) const;
  /// The signer declined; the same.
  Status declined(storage::Transaction& transaction, std::string_view name) const;

  struct Waiting {};
  struct Declined {};
  struct Given {
    Secret sad;
    UnixTime expires;
  };
  /// What became of it; a lost answer is fetched again. `not_found`: no handle of this client, or it ended.
  [[nodiscard]] Result<std::variant<Waiting, Declined, Given>> check(std::string_view handle, std::string_view client) const;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::ssa::signer
