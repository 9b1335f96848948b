#pragma once

#include <string>

#include "crypto/certificate.h"
#include "crypto/revocation.h"
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
/// The root's list after `before`: whatever that one names and, when there is one, this certificate too. Refused: a list that is not the
/// root's, and (`conflict`) a certificate that it names already; (`not_authorised`) one that this root did not issue.
[[nodiscard]] Result<Bytes> make_root_list(const Issuer& root, ByteView before, std::chrono::days validity, const Clock& clock,
                                           const crypto::Certificate* revoked = nullptr,
                                           crypto::RevocationReason reason = crypto::RevocationReason::unspecified);
/// The first list of a root: it names nothing.
[[nodiscard]] Result<Bytes> make_first_root_list(const Issuer& root, std::chrono::days validity, const Clock& clock);

/// Certifies another root's name and key, so that who trusts `by` alone follows it (RFC 4210, 4.4: OldWithNew and NewWithOld). No longer
/// than either of them holds, path length 1. Refused: a certificate that is not a root's own, or the key of `by` itself.
[[nodiscard]] Result<crypto::Certificate> cross_certify(const crypto::Certificate& other_root, const Issuer& by,
                                                        std::string_view public_url, const Clock& clock);

}  // namespace intaglio::pki
