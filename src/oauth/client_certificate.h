#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "http/server.h"
#include "oauth/client.h"

namespace intaglio::oauth {

/// The certificate with which a request's TLS connection was opened (RFC 8705). The handshake has proved that the client has its key;
/// whose it is, `check` says.
class ClientCertificate {
 public:
  /// Refused (`not_authorised`): none, one that does not parse, whose key is of a kind that we do not serve, or that is not valid now.
  [[nodiscard]] static Result<ClientCertificate> of(const http::Request& request, UnixTime now);

  /// x5t#S256 (RFC 8705, 3.1): base64url of the certificate's SHA-256.
  [[nodiscard]] const std::string& thumbprint() const noexcept { return thumbprint_; }
  /// That it is this client's, as it is registered: by its name, issued by one of these authorities (tls_client_auth, 2.1), or by
  /// itself (self_signed_tls_client_auth, 2.2). Revocation is not asked for.
  [[nodiscard]] Status check(const Client& client, const std::vector<crypto::Certificate>& authorities, UnixTime now) const;

 private:
  explicit ClientCertificate(crypto::Certificate certificate);
  [[nodiscard]] bool has_name(const CertificateName& name) const;

  crypto::Certificate certificate_;
  std::string thumbprint_;
};

}  // namespace intaglio::oauth
