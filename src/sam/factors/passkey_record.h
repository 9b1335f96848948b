#pragma once

#include <vector>

#include "sam/evidence/webauthn.h"

namespace intaglio::sam {

inline constexpr std::size_t max_passkeys = 8;  ///< of a signer, suspended ones too

/// A registered passkey of a signer.
struct Passkey {
  Bytes id;    ///< credential id, 16 to 1023 bytes
  Bytes spki;  ///< of its public key, DER
  std::uint64_t suite;
  webauthn::Aaguid model;
  std::uint64_t counter;  ///< the last one that was told, 32 bits
  bool backup_eligible;
  bool suspended;  ///< its counter went back: it may have been copied, and is never taken again
  std::int64_t registered;  ///< unix seconds
};

/// The passkeys of a signer. They belong to the incarnation of his record and not to the name: a reset ends them (TC-7).
struct PasskeyRecord {
  Bytes incarnation;
  std::vector<Passkey> passkeys;
};
[[nodiscard]] Bytes encode(const PasskeyRecord& record);
[[nodiscard]] Result<PasskeyRecord> parse_passkeys(ByteView encoded);

/// SHA-256("intaglio/passkey/1" | credential id | SubjectPublicKeyInfo): names a passkey in the audit log.
[[nodiscard]] crypto::Sha256Digest passkey_digest(ByteView id, ByteView spki);

}  // namespace intaglio::sam
