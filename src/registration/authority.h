#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "outbound/http_client.h"

namespace intaglio::registration {

/// A certification authority as the registration authority sees it (api/pki/README.md, internal listener).
class CertificationAuthority {
 public:
  virtual ~CertificationAuthority() = default;
  /// DER, leaf first. The operator's request and the SAM's assertion are verified there.
  [[nodiscard]] virtual Result<std::vector<Bytes>> issue(std::string_view operator_request, std::string_view key_assertion,
                                                         ByteView csr) = 0;
  /// DER, leaf first, for a one-time key: on the SAM's word alone, which is verified there.
  [[nodiscard]] virtual Result<std::vector<Bytes>> issue_short_term(std::string_view key_assertion, ByteView csr) = 0;
  /// The CRL that names the revoked certificate, DER; nothing when it is revoked and the authority's list does not say so yet.
  [[nodiscard]] virtual Result<std::optional<Bytes>> revoke(std::string_view operator_request) = 0;
  /// Ends a hold; the CRL that names the certificate no more, DER.
  [[nodiscard]] virtual Result<Bytes> release(std::string_view operator_request) = 0;
  /// The CRL in force, DER.
  [[nodiscard]] virtual Result<Bytes> current_crl() = 0;
  /// The root's CRL in force, DER: it says whether the issuing CA is revoked. `unsupported` where there is none.
  [[nodiscard]] virtual Result<Bytes> root_crl() = 0;
  /// Takes up what earlier requests left open with the authority. Run at start and from time to time, by one thread.
  virtual void settle() {}
};

/// Our own PKI over HTTPS; `base_url` without a slash at the end, the client allowed to reach nothing else.
[[nodiscard]] std::shared_ptr<CertificationAuthority> make_pki_client(outbound::HttpClient client, std::string base_url);

}  // namespace intaglio::registration
