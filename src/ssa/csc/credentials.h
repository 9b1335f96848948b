#pragma once

#include <memory>

#include "http/routes.h"
#include "json/json.h"
#include "oauth/client.h"
#include "ssa/credential_directory.h"

namespace intaglio::ssa::csc {

/// How an application gets an authorisation (CSC API v2, 8.3): by a redirect to the page, or by waiting while the signer decides on a
/// device of his own.
enum class AuthorizationMode { redirect, device };
/// The id of the one authentication object of AuthorizationMode::device.
inline constexpr std::string_view device_object_id = "device";

enum class CertificatesWanted { none, single, chain };
struct CredentialView {
  CertificatesWanted certificates = CertificatesWanted::single;
  bool certificate_info = false;
  bool authentication_info = false;
  AuthorizationMode mode = AuthorizationMode::redirect;
};
/// The credential object (CSC API v2, 11.5; csc-api 7.3), without credentialID.
[[nodiscard]] json::Value describe(const Credential& credential, const CredentialView& view, UnixTime now);

/// POST credentials/list, credentials/info.
class Credentials {
 public:
  /// `with_page`: signers approve on a page of ours.
  Credentials(std::shared_ptr<CredentialDirectory> directory, std::shared_ptr<const oauth::Clients> clients,
              std::shared_ptr<const Clock> clock, bool with_page);
  [[nodiscard]] http::Response list(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response info(const http::Request& request, const http::Principal& caller) const;
  /// A client that registered no address for redirects can only wait for the signer's own device.
  [[nodiscard]] AuthorizationMode mode_for(const http::Principal& caller) const;
  /// credential_unknown also for a credential of a signer whom this client may not see.
  [[nodiscard]] Result<std::shared_ptr<const Credential>> visible(std::string_view id, const http::Principal& caller) const;

 private:
  [[nodiscard]] bool may_see(const http::Principal& caller, const SignerId& signer) const;

  std::shared_ptr<CredentialDirectory> directory_;
  std::shared_ptr<const oauth::Clients> clients_;
  std::shared_ptr<const Clock> clock_;
  bool with_page_;
};

}  // namespace intaglio::ssa::csc
