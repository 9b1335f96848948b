#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "storage/database.h"

namespace intaglio::ssa::signer {

/// Devices that the SAM recognised, each with a bearer for ten minutes, kept as its SHA-256. A bearer shows what waits for its signer and
/// authorises nothing. Thread-safe.
class DeviceSessions {
 public:
  DeviceSessions(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  static constexpr std::chrono::seconds life{600};
  static constexpr std::int64_t max_of_a_signer = 8;  ///< the oldest gives way

  [[nodiscard]] Result<std::string> begin(const SignerId& signer) const;
  /// `not_authorised`: no bearer of ours, or it is over.
  [[nodiscard]] Result<SignerId> find(std::string_view bearer) const;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::ssa::signer
