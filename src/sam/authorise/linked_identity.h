#pragma once

#include "sam/core.h"

namespace intaglio::sam {

/// Within the transaction that changes the signer's factors: consumes the token (`replayed`) and links its person to the signer.
Status link_identity(const Core& core, storage::Transaction& write, const SignerRecord& signer, const NewIdentity& identity,
                     UnixTime message_ends);

/// How the audit log names the link: base64url of evidence::identity_digest().
[[nodiscard]] std::string identity_field(const IdentityLink& link);

}  // namespace intaglio::sam
