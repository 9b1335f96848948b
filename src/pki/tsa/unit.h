#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "crypto/inspection.h"
#include "pki/ca/certificate_template.h"
#include "pki/environment.h"

namespace intaglio::pki {

/// A time-stamping unit: one key that signs time-stamps and nothing else, certified once for that (RFC 3161, 2.3; EN 319 422, 6).
struct UnitProfile {
  std::string key_id;       ///< CKA_ID (as text) of its key
  std::string common_name;
  std::vector<std::string> certificate_policies;  ///< dotted; may be empty
  std::chrono::days validity;   ///< of the certificate: tokens are verified for that long
  std::chrono::days key_usage;  ///< how long the key signs, at most `validity` (EN 319 421, 7.7.1)
};

/// Subject and extensions of a unit's certificate: country and organisation are the issuer's.
[[nodiscard]] Result<CertificateTemplate> make_unit_template(const UnitProfile& profile, const crypto::PublicKey& key, const Issuer& issuer,
                                                             std::string_view public_url, UnixTime begin, UnixTime end);

/// Refused (`certificate_invalid`), with the clause, unless it is a certificate for time-stamping alone whose key ends before it does.
Status check_unit_certificate(const crypto::CertificateFacts& facts);

}  // namespace intaglio::pki
