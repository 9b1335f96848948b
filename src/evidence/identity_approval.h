#pragma once

#include "evidence/id_token.h"
#include "protocol/binding.h"

namespace intaglio::evidence {

/// What an identity provider said when its person approved documents, with all that is needed to repeat the verification
/// (api/sap/README.md, 9).
struct IdentityApproval {
  Bytes transaction;  ///< T as it was shown
  protocol::Terms terms;
  std::string act;
  id_token::IssuerPolicy provider;  ///< the policy of that moment: at most 8 keys or 4 anchors, 8 levels
  Bytes salt;                       ///< of the link, 16 bytes
  std::string subject;              ///< `sub` that was linked at the provider
  UnixTime taken;                   ///< when the SAM verified the token: it is valid for minutes
  std::string token;                ///< as it came
};
[[nodiscard]] Bytes encode(const IdentityApproval& approval);
/// At most 128 KiB; `invalid_request` when it is not what encode wrote.
[[nodiscard]] Result<IdentityApproval> parse_identity_approval(ByteView encoded);
/// Whether the encoding says that it is one, whatever follows.
[[nodiscard]] bool is_identity_approval(ByteView encoded);

/// T, once the provider's signature over exactly this T, these terms and this act verified, as of when it was taken. Refused
/// (`authentication_failed`) otherwise. Whose identity it is stands in the audit log: identity_digest() of it when it was linked, SHA-256
/// of the encoding at the authorisation.
[[nodiscard]] Result<protocol::Transaction> verify_approval(const IdentityApproval& approval);

/// SHA-256("intaglio/identity/1" | salt | issuer | subject), every part a field: names a linked identity in the audit log. The salt keeps
/// whoever reads the log from finding the person by trying identifiers.
[[nodiscard]] crypto::Sha256Digest identity_digest(ByteView salt, std::string_view issuer, std::string_view subject);

}  // namespace intaglio::evidence
