#pragma once

#include <vector>

#include "crypto/certificate.h"
#include "ssa/credential_directory.h"

namespace intaglio::ssa {

/// The signed attributes of a CMS over a document with this digest, and their digest: the DTBS/R. They follow from digest, hash and
/// certificate alone (crypto/cms.h), so that they are the same when the signer approves and when it is signed.
struct SignedAttributes {
  Bytes encoded;
  Bytes digest;
};

/// The certificates of a credential, read: the signer's first. Refused (`certificate_invalid`) while none is bound.
[[nodiscard]] Result<std::vector<crypto::Certificate>> certificates_of(const Credential& credential);
[[nodiscard]] Result<SignedAttributes> signed_attributes(const crypto::Certificate& signer, crypto::HashAlgorithm hash,
                                                         ByteView document_digest);

}  // namespace intaglio::ssa
