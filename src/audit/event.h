#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace intaglio::audit {

/// The closed catalogue: api/audit/events.json holds the same list with the fields of each; a test compares both.
enum class EventType {
  process_started,
  process_stopped,
  configuration_loaded,
  policy_installed,
  signer_created,
  activation_refused,
  factors_enrolled,
  factors_refused,
  factors_changed,
  factors_reset,
  passkey_suspended,
  key_generated,
  proof_of_possession_signed,
  certificate_bound,
  key_suspended,
  key_voided,
  key_destroyed,
  transaction_opened,
  authorisation_granted,
  authorisation_extended,
  authorisation_refused,
  approval_exported,
  signature_intent,
  signature_made,
  signature_refused,
  signature_burned,
  signature_redelivered,
  reservation_burned,
  token_calls,
  token_alarm,
  certificate_issued,
  certificate_refused,
  revocation_recorded,
  crl_issued,
  user_added,
  user_changed,
  proposal_made,
  proposal_approved,
  proposal_executed,
  management_refused,
  audit_read,
  timestamp_issued,
  timestamp_stopped,
  timestamp_resumed,
  person_identified,
  certificate_orphaned,
  grant_made,
  grant_ended,
  seal_requested,
  enrolment_changed,
  revocation_code_refused,
  contact_recorded,
  notice_delivered,
  notice_given_up,
  job_ran,
  database_restored,
  entry_lost,
  factors_voided,
  factors_locked,
};
[[nodiscard]] std::string_view name_of(EventType type) noexcept;  ///< "signature.made"

enum class Outcome { success, refused, failed };

/// One event. Never a PIN, SAD, token or document: digests and references. Fields are text, numbers written in decimal,
/// bytes in base64url; the canonical form is JSON with sorted members (json::encode).
struct Event {
  EventType type;
  std::string actor;    ///< the principal that was verified, or "ssa" for what only the relay says
  std::string subject;  ///< signer or key concerned
  Outcome outcome;
  std::vector<std::pair<std::string, std::string>> fields;
};
/// What events of a type say: each required field once, each optional one at most once, no other.
struct FieldNames {
  std::vector<std::string_view> required, optional;
};
[[nodiscard]] FieldNames fields_of(EventType type);
/// Refused (`internal`): an event with a field that the catalogue does not know, one field twice, or one missing.
[[nodiscard]] Status check_fields(const Event& event);
/// The same of what was read; also refused: a name that is no type.
[[nodiscard]] Status check_fields(std::string_view type, const std::vector<std::string_view>& names);
[[nodiscard]] std::string canonical(const Event& event, const Clock& clock, std::uint64_t index);

}  // namespace intaglio::audit
