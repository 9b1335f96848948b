#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/secret.h"
#include "crypto/password_hash.h"
#include "protocol/binding.h"
#include "sam/policy/factor_set.h"

/// What the SAM keeps, each as a sealed record in canonical fields.
namespace intaglio::sam {

/// The verifier of a PIN, or of the signerpass that stands in its place: useless without the HSM's pepper key.
struct PinVerifier {
  Factor kind;              ///< pin or signerpass
  crypto::Argon2Cost cost;  ///< that it was made with, whatever policy asks for by now; no memory: the policy's, in records of before
  std::uint64_t version;
  Bytes salt;      ///< 16 bytes
  Bytes verifier;  ///< 32 bytes
};

/// A signer and the reference data of his factors (R.Reference_Signer_Authentication_Data).
struct SignerRecord {
  SignerId id;
  Bytes incarnation;           ///< 16 random bytes of this record's creation: keys belong to it, not to the name (TC-7)
  std::string identity;        ///< the identity record that the operator signed, canonical JSON
  std::string created_by;      ///< operator
  UnixTime created;
  Bytes activation_salt, activation_digest;  ///< SHA-256(salt | code); empty once used
  UnixTime activation_ends;
  std::uint64_t activation_tries_left;
  std::optional<PinVerifier> pin;
  Secret totp_seed;            ///< 20 bytes, or empty
};
/// Whether the activation code was used: before that, and after a reset, there are no factors.
[[nodiscard]] bool is_enrolled(const SignerRecord& record) noexcept;
[[nodiscard]] Secret encode(const SignerRecord& record);
[[nodiscard]] Result<SignerRecord> parse_signer(ByteView encoded);

/// Counters of a signer, apart from the reference data because they change with each attempt.
struct FactorState {
  std::uint64_t failures = 0;          ///< with the possession factor shown; success clears it
  std::int64_t locked_until = 0;       ///< unix seconds
  std::uint64_t wide_failures = 0;     ///< without it, so that strangers cannot lock a signer (TC-11)
  std::int64_t wide_locked_until = 0;
  std::uint64_t totp_last_step = 0;    ///< RFC 6238, 5.2: once per step
  /// DTBS/R authorised in the last 24 hours: by the second for the last minute, by the hour before.
  struct Count {
    std::int64_t at;
    std::uint64_t documents;
  };
  std::vector<Count> counts;
};
[[nodiscard]] Bytes encode(const FactorState& state);
[[nodiscard]] Result<FactorState> parse_factor_state(ByteView encoded);

/// What a signer authorised: the TC-3 fields with consent, which never change, and the SAD that names it, which another one may follow.
struct Authorisation {
  Bytes nonce;                     ///< SAM nonce of the ticket: identifies it
  protocol::Transaction transaction;
  crypto::Sha256Digest consent;
  protocol::Terms terms;
  std::string act;
  crypto::Sha256Digest sad;        ///< SHA-256 of the token, so that the row's index cannot point another token here
  UnixTime issued, expires;
};
[[nodiscard]] Bytes encode(const Authorisation& authorisation);
[[nodiscard]] Result<Authorisation> parse_authorisation(ByteView encoded);

/// One place in the authorised list (TC-4). AUTHORISED -> RESERVED -> CONSUMED or BURNED; back to AUTHORISED only on a
/// definite refusal by the token.
enum class OccurrenceState : std::uint8_t { authorised = 1, reserved = 2, consumed = 3, burned = 4 };
struct Occurrence {
  OccurrenceState state;
  std::string owner;       ///< node and incarnation that reserved it
  std::uint64_t suite;     ///< of the reservation; 0 before
  Bytes signature;         ///< once consumed, for redelivery
  std::uint64_t audit_index;
};
[[nodiscard]] Bytes encode(const Occurrence& occurrence);
[[nodiscard]] Result<Occurrence> parse_occurrence(ByteView encoded);

}  // namespace intaglio::sam
