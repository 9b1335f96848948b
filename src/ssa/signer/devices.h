#pragma once

#include <atomic>
#include <memory>

#include "http/rate_limit.h"
#include "http/routes.h"
#include "oauth/authorization_endpoint.h"
#include "protocol/service.h"
#include "ssa/signer/device_sessions.h"

namespace intaglio::ssa::signer {

/// How a registered device learns that an application waits for its signer (api/sic/README.md, /sic/v1/devices): it shows itself once with a
/// request that the SAM verifies, asks what waits, and opens one of them in the place of the page.
class Devices {
 public:
  struct Parts {
    std::shared_ptr<protocol::SamService> sam;
    std::shared_ptr<oauth::AuthorizationEndpoint> authorization;
    std::shared_ptr<const DeviceSessions> sessions;
    std::shared_ptr<const Clock> clock;
    unsigned most_waiting;  ///< devices that may wait at the same time, each in a worker of the listener; another is answered at once
  };
  explicit Devices(Parts parts) : parts_(std::move(parts)) {}

  /// What strangers may make the SAM look at in a minute: a device shows itself once in ten.
  static constexpr http::RateLimit::Bounds sign_ins{.each = 30, .all = 3000};
  /// The longest that a device may wait for an answer that has something in it.
  static constexpr std::int64_t longest_wait = 10;

  /// The signer whose device shows this bearer. Refused: not_authorised.
  [[nodiscard]] Result<http::Principal> check(const http::Request& request) const;
  [[nodiscard]] http::Response sign_in(const http::Request& request) const;
  [[nodiscard]] http::Response waiting(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open(const http::Request& request, const http::Principal& caller) const;

 private:
  [[nodiscard]] Result<std::vector<oauth::PendingRequests::Told>> wait_for(const std::string& signer, std::int64_t seconds) const;

  Parts parts_;
  mutable http::RateLimit limit_{sign_ins};
  mutable std::atomic<unsigned> waiting_{0};
};

}  // namespace intaglio::ssa::signer
