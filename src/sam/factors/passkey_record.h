#pragma once

#include <vector>

#include "evidence/webauthn.h"

namespace intaglio::sam {

inline constexpr std::size_t max_passkeys = 8;  ///< of a signer, suspended ones too

/// A registered passkey of a signer.
struct Passkey {
  Bytes id;    ///< credential id, 16 to 1023 bytes
  Bytes spki;  ///< of its public key, DER
  std::uint64_t suite;
  evidence::webauthn::Aaguid model;
  std::uint64_t counter;  ///< the last one that was told, 32 bits
  bool backup_eligible;
  bool attested;   ///< its attestation led to a root of the policy, so that its model is what it says
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

}  // namespace intaglio::sam
