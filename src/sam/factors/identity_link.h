#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio::sam {

/// Who a signer is at an identity provider: issuer and persistent identifier, never a name or a date of birth.
struct IdentityLink {
  Bytes salt;                   ///< 16 random bytes: names the link in the audit log
  std::string issuer, subject;  ///< `iss` and `sub`, at most 255 bytes each
  std::int64_t linked;          ///< unix seconds
};

/// The linked identity of a signer. It belongs to the incarnation of his record and not to the name: a reset ends it (TC-7).
struct IdentityLinkRecord {
  Bytes incarnation;
  IdentityLink link;
};
[[nodiscard]] Bytes encode(const IdentityLinkRecord& record);
[[nodiscard]] Result<IdentityLinkRecord> parse_identity_link(ByteView encoded);

}  // namespace intaglio::sam
