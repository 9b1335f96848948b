#pragma once

#include <memory>

#include "http/routes.h"
#include "json/json.h"
#include "oauth/authorization_endpoint.h"
#include "ssa/signer/device_approvals.h"
#include "ssa/signer/interaction.h"

namespace intaglio::ssa::signer {

/// What whoever opened an approval gets: the bearer, T, its ticket and the SAP statement.
[[nodiscard]] json::Value describe(const oauth::PendingRequests::Exchanged& exchanged);

/// Authorization requests before their signers (api/sic/README.md): the page exchanges its one-time handle for a bearer, shows what the
/// SAM opened, and gives back the SAP message or a refusal. The signer's sign-in is that message, which the SAM verifies: nothing
/// else makes a code.
class Approvals {
 public:
  /// `interaction` outlives this object.
  Approvals(std::shared_ptr<oauth::AuthorizationEndpoint> authorization, const Interaction& interaction,
            std::shared_ptr<const DeviceApprovals> devices)
      : authorization_(std::move(authorization)), interaction_(interaction), devices_(std::move(devices)) {}

  [[nodiscard]] http::Response authorize(const http::Request& request) const;
  /// What an application waits for by its handle (CSC API v2, 11.6), and where the signer decides: the page's address with the one-time
  /// handle of the page, to be shown to the signer as a link or a QR code.
  struct Awaited {
    std::string handle, page;
    std::string comparison;  ///< two digits that the signer finds on a device which was told of it (api/sap, 12)
    std::chrono::seconds expires_in;
  };
  /// Refused: as Interaction::open_signing; `unsupported` without a page; `busy`.
  [[nodiscard]] Result<Awaited> await(const oauth::Client& client, const oauth::CredentialRequest& asked, UnixTime now) const;
  /// The approval whose bearer the request shows. Refused: invalid_request, not_authorised.
  [[nodiscard]] Result<http::Principal> check(const http::Request& request) const;
  [[nodiscard]] http::Response exchange(const http::Request& request) const;
  [[nodiscard]] http::Response approve(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response deny(const http::Request& request, const http::Principal& caller) const;

 private:
  std::shared_ptr<oauth::AuthorizationEndpoint> authorization_;
  const Interaction& interaction_;
  std::shared_ptr<const DeviceApprovals> devices_;
};

}  // namespace intaglio::ssa::signer
