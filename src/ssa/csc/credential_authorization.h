#pragma once

#include <memory>

#include "http/routes.h"
#include "oauth/client.h"
#include "ssa/csc/credentials.h"
#include "ssa/signer/approvals.h"

namespace intaglio::ssa::csc {

/// POST credentials/authorize, credentials/authorizeCheck, credentials/getChallenge (CSC API v2, 11.6 to 11.8), for clients whose mode is
/// AuthorizationMode::device. Whatever an application could collect from a signer authorises nothing here (TS 119 432, 5.3.2): a PIN or an
/// OTP in the body is refused, and neither kept, logged nor echoed.
class CredentialAuthorization {
 public:
  /// The references outlive this object.
  CredentialAuthorization(const Credentials& credentials, const signer::Approvals& approvals,
                          std::shared_ptr<const signer::DeviceApprovals> devices, std::shared_ptr<const oauth::Clients> clients,
                          std::shared_ptr<const Clock> clock, std::size_t max_hashes);

  /// 202 with the handle: the signer has not decided yet, never 200.
  [[nodiscard]] http::Response authorize(const http::Request& request, const http::Principal& caller) const;
  /// The same for a client of this mode, whatever it registered: v1 knows no 202.
  [[nodiscard]] http::Response authorize_by(AuthorizationMode mode, const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response check(const http::Request& request, const http::Principal& caller) const;
  /// No object of ours has a challenge.
  [[nodiscard]] http::Response challenge(const http::Request& request, const http::Principal& caller) const;

 private:
  const Credentials& credentials_;
  const signer::Approvals& approvals_;
  std::shared_ptr<const signer::DeviceApprovals> devices_;
  std::shared_ptr<const oauth::Clients> clients_;
  std::shared_ptr<const Clock> clock_;
  std::size_t max_hashes_;
};

}  // namespace intaglio::ssa::csc
