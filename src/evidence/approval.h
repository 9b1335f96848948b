#pragma once

#include "evidence/webauthn.h"
#include "protocol/binding.h"

namespace intaglio::evidence {

/// What a passkey signed when its person approved documents, with all that is needed to repeat the verification (api/sap/README.md, 8).
struct Approval {
  Bytes transaction;  ///< T as it was shown
  protocol::Terms terms;
  std::string act;
  std::string rp_id;                 ///< the policy of that moment
  std::vector<std::string> origins;  ///< at most 16
  Bytes spki;                        ///< of the passkey
  std::uint64_t suite;
  bool backup_eligible;
  webauthn::AssertionResponse response;
};
[[nodiscard]] Bytes encode(const Approval& approval);
/// At most 64 KiB; `invalid_request` when it is not what encode wrote.
[[nodiscard]] Result<Approval> parse_approval(ByteView encoded);

/// T, once the passkey's signature over exactly this T, these terms and this act verified. Refused (`authentication_failed`) otherwise. Whose
/// passkey it is stands in the audit log: passkey_digest() of it at its registration, SHA-256 of the encoding at the authorisation.
[[nodiscard]] Result<protocol::Transaction> verify_approval(const Approval& approval);

/// SHA-256("intaglio/passkey/1" | credential id | SubjectPublicKeyInfo), every part a field: names a passkey in the audit log.
[[nodiscard]] crypto::Sha256Digest passkey_digest(ByteView id, ByteView spki);

}  // namespace intaglio::evidence
