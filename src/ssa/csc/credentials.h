#pragma once

#include <memory>

#include "http/routes.h"
#include "json/json.h"
#include "oauth/client.h"
#include "ssa/credential_directory.h"

namespace intaglio::ssa::csc {

enum class CertificatesWanted { none, single, chain };
struct CredentialView {
  CertificatesWanted certificates = CertificatesWanted::single;
  bool certificate_info = false;
};
/// The credential object (CSC API v2, 11.5; csc-api 7.3), without credentialID.
[[nodiscard]] json::Value describe(const Credential& credential, const CredentialView& view, UnixTime now);

/// POST credentials/list, credentials/info, credentials/authorize.
class Credentials {
 public:
  Credentials(std::shared_ptr<CredentialDirectory> directory, std::shared_ptr<const oauth::Clients> clients,
              std::shared_ptr<const Clock> clock);
  [[nodiscard]] http::Response list(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response info(const http::Request& request, const http::Principal& caller) const;
  /// Always refused: every credential is authorised by the signer against the SAM itself (auth.mode oauth2code, SCAL 2). A PIN
  /// in the body is neither read nor kept.
  [[nodiscard]] http::Response authorize(const http::Request& request, const http::Principal& caller) const;

 private:
  /// credential_unknown also for a credential of a signer whom this client may not see.
  [[nodiscard]] Result<std::shared_ptr<const Credential>> visible(std::string_view id, const http::Principal& caller) const;
  [[nodiscard]] bool may_see(const http::Principal& caller, const SignerId& signer) const;

  std::shared_ptr<CredentialDirectory> directory_;
  std::shared_ptr<const oauth::Clients> clients_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::ssa::csc
