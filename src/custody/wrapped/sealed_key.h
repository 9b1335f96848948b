#pragma once

#include "base/ids.h"
#include "crypto/public_key.h"

namespace intaglio::custody {

/// Whose key it is and what it is for: bound to a wrapped key when it is sealed, so that it opens for nobody and nothing else.
struct KeyBinding {
  KeyId key;
  SignerId owner;
  Bytes holder;                  ///< incarnation of the owner's record (TC-7)
  std::string profile;
  std::uint64_t policy_version;  ///< of the policy under which it was sealed
};

/// A wrapped key as the database keeps it: of no use to whoever has it without the token, and none to the token without the lock.
struct SealedKey {
  Bytes blob;    ///< the provider's own: for pkcs11-wrap nonce | AES-256-GCM under SMKE of the wrapped key | tag
  Bytes locked;  ///< 32 byte salt | the wrapped keypass under the lock, without a tag
};

/// A key pair as a provider made it.
struct SealedPair {
  crypto::PublicKey public_key;
  SealedKey sealed;
};

}  // namespace intaglio::custody
