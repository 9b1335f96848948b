#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace intaglio {

/// Why an operation was refused. The set is closed: every code has exactly one row in the table of error.cpp, which gives
/// its name (audit, log), its number on the SAM's wire and its HTTP status.
enum class ErrorCode : std::uint8_t {
  invalid_request,           ///< Malformed, out of bounds, or a field that contradicts another.
  not_authorised,            ///< The authority that the call needs was not shown, or is not that principal's.
  authentication_failed,     ///< Wrong PIN, wrong OTP, unknown signer, foreign key: deliberately one code (TC-11).
  credential_unknown,        ///< No such credential for this caller.
  credential_locked,         ///< Too many failures; it ends by itself.
  credential_disabled,       ///< The key is not in state ASSIGNED.
  certificate_invalid,       ///< Expired, not yet valid, revoked or suspended.
  ticket_invalid,            ///< Not ours, of another purpose, epoch or key.
  ticket_expired,
  replayed,                  ///< A nonce, message id or occurrence that was used before.
  binding_mismatch,          ///< What the signer approved differs from what was opened.
  sad_invalid,
  sad_expired,
  hash_not_authorised,       ///< A digest that the authorisation does not hold, or no free occurrence of it.
  algorithm_refused,         ///< Outside the dated algorithm policy or the suites of the authorisation.
  digest_length,             ///< The digest does not have the length of its algorithm.
  limit_exceeded,            ///< Velocity, daily or size limit.
  signature_doubtful,        ///< The token left the outcome open: the occurrence is burned.
  not_found,
  conflict,                  ///< Exists already, or changed meanwhile.
  unsupported,               ///< Known, but not offered by this profile or token.
  too_large,
  busy,                      ///< A bounded queue is full: try again.
  clock_unsynchronised,
  audit_unavailable,         ///< No record, no signature.
  storage_unavailable,
  token_unavailable,
  configuration,             ///< The operator must change something.
  internal,
};

/// A refusal: the public code and, for operators only, the detail. The detail never holds a secret and never leaves
/// the process towards a caller, but for a privileged user of the management listener.
struct Error {
  ErrorCode code;
  std::string detail;
};

/// The stable name of a code, as it stands in logs and audit entries.
[[nodiscard]] std::string_view name_of(ErrorCode code) noexcept;
/// The number of a code on the SAM's wire; never reused.
[[nodiscard]] std::uint32_t wire_number(ErrorCode code) noexcept;
/// The reverse; an unknown number is `internal`, which grants nothing.
[[nodiscard]] ErrorCode from_wire_number(std::uint32_t number) noexcept;
/// The HTTP status of a code; the text of the CSC error is the endpoint's (ssa/csc).
[[nodiscard]] unsigned http_status(ErrorCode code) noexcept;

}  // namespace intaglio
