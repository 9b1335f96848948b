#pragma once

#include <string>

#include "crypto/certificate.h"
#include "pki/environment.h"

/// What the root does, a few times in its life, with people around it: its own certificate, the issuing CA's, and its revocation
/// list. The running service calls none of this and has no way to the root's key.
namespace intaglio::pki {

struct AuthorityName {
  std::string country, organisation, common_name;
};

/// Self-signed, pathLenConstraint 1.
[[nodiscard]] Result<crypto::Certificate> make_root_certificate(const AuthorityName& name, std::chrono::days validity,
                                                                const crypto::Signer& root, const Clock& clock);
/// The request of an issuing CA: proof that its key is where the ceremony says.
[[nodiscard]] Result<Bytes> make_authority_request(const AuthorityName& name, const crypto::Signer& issuing);
/// Certifies the key and the name of the request as a CA with pathLenConstraint 0. Refused when the proof of possession fails.
[[nodiscard]] Result<crypto::Certificate> certify_authority(ByteView request, std::chrono::days validity, const Issuer& root,
                                                            std::string_view public_url, const Clock& clock);
/// The root's list. It revokes nothing yet; the number is that of the previous one, plus one.
[[nodiscard]] Result<Bytes> make_root_list(const Issuer& root, std::uint64_t number, std::chrono::days validity, const Clock& clock);

}  // namespace intaglio::pki
