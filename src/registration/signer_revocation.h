#pragma once

#include <functional>
#include <memory>

#include "http/rate_limit.h"
#include "http/routes.h"
#include "protocol/service.h"
#include "registration/enrolments.h"
#include "registration/revocation_codes.h"

namespace intaglio::registration {

/// `POST /sic/v1/revocations` on the public listener (api/sic/README.md): who has a signer's revocation code stops all his keys. The
/// certificates are revoked by an operator, to whom the register shows it: the PKI takes no such word from us.
class SignerRevocation {
 public:
  struct Parts {
    std::shared_ptr<protocol::SamService> sam;
    std::shared_ptr<Enrolments> enrolments;
    std::shared_ptr<RevocationCodes> codes;
    std::shared_ptr<const Clock> clock;
    std::function<void(const KeyId&)> credential_changed;
  };
  SignerRevocation(Parts parts, http::RateLimit::Bounds bounds) : parts_(std::move(parts)), limit_(bounds) {}
  /// The route holds this object: it outlives the router.
  void add_routes(http::Router& router);

 private:
  [[nodiscard]] http::Response stop(const http::Request& request);
  Status stop_keys_of(const SignerId& signer);

  Parts parts_;
  http::RateLimit limit_;
};

}  // namespace intaglio::registration
