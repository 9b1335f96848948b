#pragma once

#include "audit/detail/merkle.h"
#include "crypto/signer.h"

namespace intaglio::audit::detail {

/// What a log says of itself at one moment (C2SP tlog-checkpoint).
struct Checkpoint {
  std::string origin;
  std::uint64_t size;
  Hash root;
};

/// A signed note (C2SP signed-note), signature type 2: ECDSA over SHA-256 of the text, DER; the key name is the origin, the key
/// id the first four bytes of SHA-256 over the public key's DER SubjectPublicKeyInfo.
[[nodiscard]] Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, const crypto::Signer& signer);
/// Refused (`invalid_request`) unless it is of this origin and signed by this key; further signatures (witnesses) are not looked at.
[[nodiscard]] Result<Checkpoint> verify_checkpoint(std::string_view note, std::string_view origin, const crypto::PublicKey& key);
/// Whether a text may be an origin, and so a key name: no spaces, no plus, no control characters.
[[nodiscard]] bool is_origin(std::string_view text) noexcept;

}  // namespace intaglio::audit::detail
