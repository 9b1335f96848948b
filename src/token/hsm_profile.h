#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "crypto/algorithms.h"

namespace intaglio::token {

/// What Intaglio knows of one kind of PKCS#11 module, as data: `deploy/hsm-profiles/NAME.json`. A profile only narrows: it takes
/// algorithms, purposes and definite refusals away, it names attributes that the module does not know; it never lets a token do
/// what the probe forbids.
struct HsmProfile {
  /// How the module gives CKA_EC_POINT: inside an OCTET STRING (v2.40, 2.3.3), bare, or either.
  enum class EcPoint { octet_string, bare, either };
  /// What throw-away keys of the probe are: session objects, or token objects that are destroyed again.
  enum class ThrowAway { session_objects, token_objects };

  std::string name = "any";
  std::string digest;                                 ///< hex SHA-256 of the file, for the digest of the configuration in the log
  bool was_run = true;                                ///< against this module; false: written from its documents only
  std::vector<std::string> documents;                 ///< where the facts come from
  std::vector<crypto::KeyAlgorithm> key_algorithms;   ///< of signers' keys
  std::vector<unsigned long> signature_mechanisms;    ///< CKM_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_ECDSA
  bool service_keys = true;                           ///< may hold the SAM's own keys: P-256, HMAC-SHA-256, AES-256-GCM
  ThrowAway throw_away = ThrowAway::session_objects;
  /// Whether CKA_EXTRACTABLE and the like bind keys; false: the module keeps them as notes that a login may change, and the key is
  /// kept by having no way out. Then the probe says so, changes them all, and the token passes only when every way out is shut:
  /// nothing secret is shown and C_WrapKey does not exist. A key whose notes were changed is not used: they are read back.
  bool flags_bind = true;
  EcPoint ec_point = EcPoint::either;
  std::vector<unsigned long> attributes_not_known;    ///< of detail::optional_attributes() only
  std::vector<unsigned long> public_flags_not_stated; ///< of the public half: the module sets them itself
  std::string key_authorisation = "none";             ///< the module's own, per key; words for the probe
  std::chrono::seconds call{0};                       ///< what one call may take: TokenConfig::call_timeout is not below
  unsigned max_sessions = 1024;                       ///< TokenConfig::sessions is not above
  /// Codes that prove, returned by C_SignInit, that nothing was signed (TC-4).
  std::vector<unsigned long> definite_refusals;

  [[nodiscard]] bool serves(crypto::KeyAlgorithm algorithm) const noexcept;
  [[nodiscard]] bool signs_by(unsigned long mechanism) const noexcept;
  [[nodiscard]] bool knows(unsigned long attribute) const noexcept;
  [[nodiscard]] bool is_definite(unsigned long result) const noexcept;
};

/// Reads a profile: at most 64 KiB of JSON from the operator's configuration, never from a stranger. Strictly: every member is there
/// once, of its type and in its bounds; an unknown one is refused with the known names. `configuration`.
[[nodiscard]] Result<HsmProfile> parse_hsm_profile(std::string_view text);
[[nodiscard]] Result<std::shared_ptr<const HsmProfile>> load_hsm_profile(const std::filesystem::path& path);
/// For a token whose configuration names none: everything that PKCS#11 v2.40 says, and nothing that a vendor adds.
[[nodiscard]] HsmProfile any_hsm_profile();

}  // namespace intaglio::token
