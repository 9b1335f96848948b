#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "crypto/certificate.h"

namespace intaglio::crypto {

/// What a certificate from somebody else's authority must be before it is kept.
struct IssuedRules {
  std::vector<Certificate> issuers;  ///< who may have signed it; at least one
  std::vector<Certificate> anchors;  ///< where its path ends; at least one
  std::chrono::seconds longest_validity;
  std::vector<std::string> extended_key_usages{};  ///< purposes that it may name without being asked for them, dotted
};

/// What came back for a request.
struct Issued {
  Certificate certificate;
  std::vector<Certificate> others;  ///< what the authority sent along; helps to build a path and is trusted in nothing
};

/// The path that is kept: the certificate and its issuer, leaf first. Refused (`certificate_invalid`, the detail names the fault): another
/// key or subject than the request's, an issuer that is not configured, no path to an anchor at `now`, a CA, a keyUsage that is not
/// nonRepudiation alone, other names (our requests ask for none) or purposes than the rules', a validity beyond the longest, a serial number
/// outside RFC 5280, 4.1.2.2.
[[nodiscard]] Result<std::vector<Bytes>> check_issued(const Issued& issued, const CertificateRequest& request, const IssuedRules& rules,
                                                      UnixTime now);
/// The same of what came, DER, the certificate first.
[[nodiscard]] Result<std::vector<Bytes>> check_issued_chain(const std::vector<Bytes>& certificates, const CertificateRequest& request,
                                                            const IssuedRules& rules, UnixTime now);

}  // namespace intaglio::crypto
