#include "oauth/client_certificate.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/tls_client.h"

namespace intaglio::oauth {
namespace {

Error refused(std::string detail) { return {ErrorCode::not_authorised, "client certificate: " + std::move(detail)}; }

}  // namespace

ClientCertificate::ClientCertificate(crypto::Certificate certificate)
    : certificate_(std::move(certificate)), thumbprint_(encode_base64url(certificate_.fingerprint())) {}

Result<ClientCertificate> ClientCertificate::of(const http::Request& request, UnixTime now) {
  if (request.peer_certificate.empty()) return refused("there is none");
  auto certificate = crypto::Certificate::parse_der(request.peer_certificate);
  if (!certificate) return refused(certificate.error().detail);
  // TLS takes weaker keys than we do anywhere else.
  if (refused_by("oauth.mtls.key", !certificate->public_key())) return refused("a key of a kind that is not served");
  if (refused_by("oauth.mtls.validity", now < certificate->not_before() || now > certificate->not_after())) {
    return refused("it is not valid now");
  }
  return ClientCertificate(std::move(*certificate));
}

bool ClientCertificate::has_name(const CertificateName& name) const {
  if (!name.alternative()) return certificate_.subject() == name.value();
  const auto names = crypto::alternative_names(certificate_, *name.alternative());
  return std::any_of(names.begin(), names.end(), [&](const std::string& one) { return name.is(one); });
}

Status ClientCertificate::check(const Client& client, const std::vector<crypto::Certificate>& authorities, UnixTime now) const {
  if (client.certificate_name) {
    const auto path = crypto::verify_chain(certificate_, {}, authorities, now);
    if (refused_by("oauth.mtls.authority", !path)) return refused("not of an authority for clients");
    if (refused_by("oauth.mtls.purpose", !crypto::is_for_tls_clients(certificate_))) return refused("it is not for TLS clients");
    if (refused_by("oauth.mtls.name", !has_name(*client.certificate_name))) return refused("it has another name than is registered");
    return {};
  }
  if (refused_by("oauth.mtls.registered", !client.certificates.contains(certificate_.fingerprint()))) {
    return refused("it is none that is registered");
  }
  return {};
}

}  // namespace intaglio::oauth
