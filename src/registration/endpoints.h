#pragma once

#include <functional>
#include <memory>

#include "http/routes.h"
#include "protocol/service.h"
#include "registration/authority.h"
#include "registration/key_requests.h"
#include "registration/operator_request.h"

namespace intaglio::registration {

struct Parts {
  std::shared_ptr<protocol::SamService> sam;
  std::shared_ptr<KeyRequests> requests;
  std::shared_ptr<CertificationAuthority> authority;
  std::function<void(const KeyId&)> credential_changed;  ///< told after each change of a credential through us
};

/// Everything behind the registration listener, /ra/v1 (api/ra/README.md).
class Endpoints {
 public:
  explicit Endpoints(Parts parts) : parts_(std::move(parts)) {}
  /// The routes hold this object: it outlives the router. A caller needs a client certificate of the listener's authority.
  void add_routes(http::Router& router);

 private:
  [[nodiscard]] http::Response create_signer(const http::Request& request) const;
  [[nodiscard]] http::Response reset_factors(const http::Request& request) const;
  [[nodiscard]] http::Response pending_request(const http::Request& request, std::string_view credential) const;
  [[nodiscard]] http::Response issue_certificate(const http::Request& request) const;
  [[nodiscard]] http::Response bind_certificate(const http::Request& request) const;
  [[nodiscard]] http::Response suspend(const http::Request& request) const;
  [[nodiscard]] http::Response suspend_by_operator(const http::Request& request) const;
  [[nodiscard]] http::Response resume(const http::Request& request) const;
  [[nodiscard]] http::Response revoke(const http::Request& request) const;
  [[nodiscard]] http::Response release(const http::Request& request) const;

  Parts parts_;
};

}  // namespace intaglio::registration
