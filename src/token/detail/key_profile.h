#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "crypto/algorithms.h"
#include "token/detail/attributes.h"
#include "token/hsm_profile.h"
#include "token/token.h"

namespace intaglio::token::detail {

/// What a key of one purpose is: one purpose per key (SRG_KM.3.1). SoftHSM lets a key do nearly everything where a template
/// is silent, so every attribute is stated and read back.
struct KeyProfile {
  KeyPurpose purpose;
  std::string_view prefix;  ///< of CKA_LABEL: tells the purposes apart, so that a signer's key is never found as a service key
  CK_OBJECT_CLASS object_class;
  CK_KEY_TYPE key_type;
  CK_MECHANISM_TYPE generation;
  std::vector<CK_MECHANISM_TYPE> allowed;
  bool sign, encrypt, derive;
  bool wrap = false, unwrap = false;
  bool extractable = false;  ///< for the one wrapping that takes it out
  bool modifiable = false;
  bool unwrapped = false;    ///< made by C_UnwrapKey: the token cannot vouch for its past
};

[[nodiscard]] inline bool is_pair(const KeyProfile& profile) noexcept { return profile.object_class == CKO_PRIVATE_KEY; }
/// `algorithm` matters for keys that sign: all others are P-256, HMAC-SHA-256 or AES-256.
[[nodiscard]] KeyProfile profile_of(KeyPurpose purpose, crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::p256);

/// The private or secret key's template. `stored`: a token object; else it ends with its session.
[[nodiscard]] Template key_template(const KeyProfile& profile, ByteView id, std::string_view label, bool stored);
[[nodiscard]] Template public_template(const KeyProfile& profile, crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label,
                                       bool stored);
/// Attributes that a token may not know (CKR_ATTRIBUTE_TYPE_INVALID); where it knows them they count.
[[nodiscard]] const std::vector<CK_ATTRIBUTE_TYPE>& optional_attributes();

/// Takes out what the module does not know.
void adapt(Template& attributes, const HsmProfile& hsm);
/// The same for the public half of a pair, with the flags that the module states itself.
void adapt_public(Template& attributes, const HsmProfile& hsm);

/// Reads back everything that was stated and what follows from it (ALWAYS_SENSITIVE, NEVER_EXTRACTABLE, LOCAL);
/// `token_unavailable` names the first attribute that differs.
Status verify_attributes(const ObjectView& view, const KeyProfile& profile, bool stored);

/// The curve of an EC key, from either half.
[[nodiscard]] Result<crypto::KeyAlgorithm> read_curve(const ObjectView& view);
/// The public key of a pair, from its public object: `unsupported` for algorithms that we do not serve.
[[nodiscard]] Result<crypto::PublicKey> read_public_key(const ObjectView& view, HsmProfile::EcPoint form = HsmProfile::EcPoint::either);

}  // namespace intaglio::token::detail
