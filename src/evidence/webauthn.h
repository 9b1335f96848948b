#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"

/// Verifies what a passkey's authenticator made (WebAuthn Level 3, 7.1 and 7.2), as functions of their input alone: anyone who has the
/// evidence can repeat them years later. Whose credential it is, and whether its counter may be taken, is the caller's.
namespace intaglio::evidence::webauthn {

using Aaguid = std::array<std::uint8_t, 16>;

/// Sealed policy of a relying party; the signer's page has no say in it.
struct Rules {
  std::string rp_id;                 ///< host of the page
  std::vector<std::string> origins;  ///< exactly, scheme and port included
  bool allow_backup_eligible;        ///< passkeys that may be copied to other devices of the same person
  /// Models that are let in, all when empty. A model is believed only when its attestation leads to one of `roots`, so a list without
  /// roots lets nobody in.
  std::vector<Aaguid> models;
  std::vector<crypto::Certificate> roots;
};

/// What is kept of a registered credential.
struct Credential {
  Bytes id;  ///< 16 to 1023 bytes
  crypto::PublicKey key;
  crypto::SignatureSuite suite;
  Aaguid model;
  std::uint32_t counter;
  bool backup_eligible;
};

enum class Attestation { none, self, trusted };

struct Registration {
  Credential credential;
  Attestation attestation;
  bool backed_up;
};

/// What the browser returned of navigator.credentials.create().
struct RegistrationResponse {
  Bytes client_data;         ///< clientDataJSON, at most 4 KiB
  Bytes attestation_object;  ///< at most 16 KiB
};
/// Formats none, packed and fido-u2f. `challenge` is what the SAM expects; refused (`authentication_failed`) when anything differs.
[[nodiscard]] Result<Registration> verify_registration(const Rules& rules, ByteView challenge, const RegistrationResponse& response,
                                                       UnixTime now);

/// What the browser returned of navigator.credentials.get().
struct AssertionResponse {
  Bytes credential_id;
  Bytes client_data;         ///< clientDataJSON, at most 4 KiB
  Bytes authenticator_data;  ///< 37 bytes, and extensions
  Bytes signature;
};
struct Assertion {
  std::uint32_t counter;
  /// Not above the one that is known: the authenticator may have been copied (6.1.1). What follows is the caller's.
  bool counter_regressed;
  bool backed_up;
};
/// Refused (`authentication_failed`) when anything differs from what this credential must answer to this challenge, user verification included.
[[nodiscard]] Result<Assertion> verify_assertion(const Rules& rules, const Credential& credential, ByteView challenge,
                                                 const AssertionResponse& response);

}  // namespace intaglio::evidence::webauthn
