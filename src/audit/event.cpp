#include "audit/event.h"

#include <algorithm>
#include <array>

#include "base/panic.h"
#include "json/json.h"

namespace intaglio::audit {

namespace {

/// "2026-11-20T10:37:00.125Z"
std::string time_of(const Clock& clock) {
  const auto milliseconds = clock.unix_milliseconds();
  const auto fraction = std::to_string(milliseconds % 1000);
  auto text = format_utc(from_unix_seconds(milliseconds / 1000));
  text.insert(text.size() - 1, '.' + std::string(3 - fraction.size(), '0') + fraction);
  return text;
}

std::string_view name_of(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::success: return "success";
    case Outcome::refused: return "refused";
    case Outcome::failed: return "failed";
  }
  panic("audit: an outcome outside its set");
}

using Names = std::array<std::string_view, 10>;

struct Kind {
  EventType type;
  std::string_view name;
  Names required, optional;
};

constexpr auto kinds = std::to_array<Kind>({
    {EventType::process_started, "process.started", {"configuration", "clock", "synchronised", "flavour"}, {"policy", "version"}},
    {EventType::process_stopped, "process.stopped", {}, {}},
    {EventType::configuration_loaded, "configuration.loaded", {"configuration"}, {}},
    {EventType::policy_installed, "policy.installed", {"policy_digest"}, {"proposal"}},
    {EventType::signer_created, "signer.created", {"request"}, {"identity"}},
    {EventType::activation_refused, "activation.refused", {"reason", "client"}, {}},
    {EventType::factors_enrolled, "factors.enrolled", {"factors", "client"}, {"passkey", "device", "identity"}},
    {EventType::factors_refused, "factors.refused", {"reason", "client"}, {}},
    {EventType::factors_changed,
     "factors.changed",
     {"factors", "authorisation", "client"},
     {"shown", "passkey", "device", "identity", "passkeys_of_before", "devices_of_before"}},
    {EventType::factors_reset, "factors.reset", {"request", "keys"}, {}},
    {EventType::passkey_suspended, "passkey.suspended", {"passkey", "counter_known", "counter_told"}, {}},
    {EventType::key_generated, "key.generated", {"algorithm", "spki", "profile", "authorisation"}, {}},
    {EventType::proof_of_possession_signed, "proof_of_possession.signed", {"csr"}, {}},
    {EventType::certificate_bound, "certificate.bound", {"certificate", "not_after", "request"}, {}},
    {EventType::key_suspended, "key.suspended", {"reason", "change"}, {"request", "authorisation"}},
    {EventType::key_voided, "key.voided", {"reason"}, {"request", "authorisation"}},
    {EventType::key_destroyed, "key.destroyed", {"reason"}, {}},
    {EventType::transaction_opened, "transaction.opened", {"authorisation", "purpose", "client"}, {}},
    {EventType::authorisation_granted,
     "authorisation.granted",
     {"authorisation", "list", "count", "binding", "certificate", "terms", "act", "methods", "client", "sad"},
     {"suites", "evidence"}},
    {EventType::authorisation_extended,
     "authorisation.extended",
     {"authorisation", "left", "ends", "client", "client_address_told_by_ssa", "sad_before", "sad"},
     {}},
    {EventType::authorisation_refused, "authorisation.refused", {"purpose", "reason", "authorisation", "client"}, {}},
    {EventType::approval_exported, "approval.exported", {"evidence"}, {}},
    {EventType::signature_intent, "signature.intent", {"authorisation", "position", "suite", "digest", "certificate"}, {}},
    {EventType::signature_made,
     "signature.made",
     {"authorisation", "position", "suite", "digest", "certificate", "intent", "client", "client_address_told_by_ssa"},
     {"reason"}},
    {EventType::signature_refused,
     "signature.refused",
     {"client"},
     {"authorisation", "position", "suite", "digest", "certificate", "intent", "client_address_told_by_ssa", "reason", "sad"}},
    {EventType::signature_burned,
     "signature.burned",
     {"authorisation", "position", "suite", "digest", "certificate", "intent", "client", "client_address_told_by_ssa"},
     {"reason"}},
    {EventType::signature_redelivered, "signature.redelivered", {"authorisation", "position", "suite", "digest", "certificate"}, {}},
    {EventType::reservation_burned, "reservation.burned", {"authorisation", "position", "owner"}, {}},
    {EventType::token_calls, "token.calls", {"signer_signatures", "calls"}, {}},
    {EventType::token_alarm, "token.alarm", {"token_signatures", "audited_signatures"}, {}},
    {EventType::certificate_issued,
     "certificate.issued",
     {"kind", "serial", "certificate_sha256", "spki_sha256", "profile", "signer", "rid", "not_after"},
     {}},
    {EventType::certificate_refused, "certificate.refused", {"code"}, {}},
    {EventType::revocation_recorded, "revocation.recorded", {"serial", "reason"}, {"rid", "crl_number"}},
    {EventType::crl_issued, "crl.issued", {"number", "entries", "crl_sha256", "next_update"}, {"delta_sha256", "base"}},
    {EventType::user_added, "user.added", {"proposal", "person", "roles", "key"}, {}},
    {EventType::user_changed, "user.changed", {"change"}, {"proposal", "roles", "key", "reason"}},
    {EventType::proposal_made, "proposal.made", {"operation", "digest", "ends", "target"}, {"roles", "key", "policy_digest"}},
    {EventType::proposal_approved, "proposal.approved", {"operation", "digest"}, {}},
    {EventType::proposal_executed, "proposal.executed", {"operation", "digest", "approved_by"}, {}},
    {EventType::management_refused, "management.refused", {"reason", "detail"}, {}},
    {EventType::audit_read, "audit.read", {"events", "filter"}, {}},
    {EventType::timestamp_issued,
     "timestamp.issued",
     {"serial", "policy", "hash", "imprint", "generated_at_milliseconds", "response_sha256"},
     {}},
    {EventType::timestamp_stopped, "timestamp.stopped", {"reason"}, {}},
    {EventType::timestamp_resumed, "timestamp.resumed", {}, {}},
    {EventType::person_identified,
     "person.identified",
     {"authorisation", "session", "identity", "terms", "act", "profile", "client", "evidence"},
     {}},
    {EventType::certificate_orphaned, "certificate.orphaned", {"certificate", "serial", "not_after", "told_by"}, {"destroyed"}},
    {EventType::grant_made,
     "grant.made",
     {"grant", "client_key", "signatures", "ends", "suites", "certificate", "terms", "act", "methods", "client"},
     {}},
    {EventType::grant_ended, "grant.ended", {"grant", "reason"}, {}},
    {EventType::seal_requested, "seal.requested", {"grant", "request", "authorisation", "list", "count", "suite", "client", "sad"}, {}},
    {EventType::enrolment_changed, "enrolment.changed", {"from", "to"}, {"channel", "credential", "level", "reason", "urgency"}},
    {EventType::revocation_code_refused, "revocation_code.refused", {"tries_left"}, {}},
    {EventType::contact_recorded, "contact.recorded", {"channels", "language"}, {}},
    {EventType::notice_delivered, "notice.delivered", {"notice", "kind", "channel", "tries"}, {}},
    {EventType::notice_given_up, "notice.given_up", {"notice", "kind", "channel", "tries", "reason"}, {}},
    {EventType::job_ran, "job.ran", {"job", "found"}, {}},
    {EventType::database_restored,
     "database.restored",
     {"statement", "approved_by", "database_entries", "known_entries", "anchored_entries", "rows_behind", "rows_gone", "epoch"},
     {}},
    {EventType::entry_lost, "entry.lost", {}, {}},
    {EventType::factors_voided, "factors.voided", {"reason", "keys"}, {}},
    {EventType::factors_locked, "factors.locked", {"reason", "until"}, {}},
});

constexpr bool in_order() {
  for (std::size_t at = 0; at < kinds.size(); ++at) {
    if (static_cast<std::size_t>(kinds[at].type) != at) return false;
  }
  return true;
}
static_assert(in_order() && kinds.size() == static_cast<std::size_t>(EventType::factors_locked) + 1);

const Kind& kind_of(EventType type) noexcept {
  const auto at = static_cast<std::size_t>(type);
  if (at >= kinds.size()) panic("audit: an event type outside its set");
  return kinds[at];
}

constexpr std::size_t size_of(const Names& names) noexcept {
  std::size_t size = 0;
  while (size < names.size() && !names[size].empty()) ++size;
  return size;
}

bool holds(const Names& names, std::string_view name) noexcept {
  return !name.empty() && std::find(names.begin(), names.end(), name) != names.end();
}

Error uncatalogued(std::string_view type, std::string_view why) {
  return {ErrorCode::internal, "audit: " + std::string(type) + " " + std::string(why)};
}

Status check_fields(const Kind& kind, const std::vector<std::string_view>& names) {
  std::size_t required = 0;
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (std::find(names.begin(), name, *name) != name) return uncatalogued(kind.name, "has the field twice: " + std::string(*name));
    if (holds(kind.required, *name)) {
      ++required;
    } else if (!holds(kind.optional, *name)) {
      return uncatalogued(kind.name, "has a field that the catalogue does not know: " + std::string(*name));
    }
  }
  if (required == size_of(kind.required)) return {};
  const auto* missing = std::find_if(kind.required.begin(), kind.required.end(),
                                     [&](std::string_view wanted) { return std::find(names.begin(), names.end(), wanted) == names.end(); });
  return uncatalogued(kind.name, "lacks the field " + std::string(*missing));
}

/// A JSON text. Almost all are plain; what needs escapes goes the long way.
void append_text(std::string& out, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain) {
    (out += '"').append(text) += '"';
  } else {
    out += json::encode(json::Value(text));
  }
}

}  // namespace

std::string_view name_of(EventType type) noexcept { return kind_of(type).name; }

Status check_fields(std::string_view type, const std::vector<std::string_view>& names) {
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& candidate) { return candidate.name == type; });
  if (kind == kinds.end()) return uncatalogued(type, "is no type of event");
  return check_fields(*kind, names);
}

Status check_fields(const Event& event) {
  std::vector<std::string_view> names;
  names.reserve(event.fields.size());
  for (const auto& [name, value] : event.fields) names.push_back(name);
  return check_fields(kind_of(event.type), names);
}

FieldNames fields_of(EventType type) {
  const auto& kind = kind_of(type);
  return {{kind.required.begin(), kind.required.begin() + static_cast<std::ptrdiff_t>(size_of(kind.required))},
          {kind.optional.begin(), kind.optional.begin() + static_cast<std::ptrdiff_t>(size_of(kind.optional))}};
}

std::string canonical(const Event& event, const Clock& clock, std::uint64_t index) {
  // Written by hand, since each signature has two events: the same text that json::encode gives.
  std::vector<const std::pair<std::string, std::string>*> fields;
  fields.reserve(event.fields.size());
  for (const auto& field : event.fields) fields.push_back(&field);
  std::sort(fields.begin(), fields.end(), [](const auto* left, const auto* right) { return left->first < right->first; });
  std::string out;
  out.reserve(1024);
  out += R"({"actor":)";
  append_text(out, event.actor);
  out += clock.source() == ClockSource::kernel ? R"(,"clock":"kernel","fields":{)" : R"(,"clock":"declared","fields":{)";
  for (const auto* field : fields) {
    if (field != fields.front()) out += ',';
    append_text(out, field->first);
    out += ':';
    append_text(out, field->second);
  }
  out += R"(},"index":)" + std::to_string(index) + R"(,"outcome":)";
  append_text(out, name_of(event.outcome));
  out += R"(,"subject":)";
  append_text(out, event.subject);
  out += R"(,"time":)";
  append_text(out, time_of(clock));
  out += R"(,"type":)";
  append_text(out, name_of(event.type));
  out += '}';
  return out;
}

}  // namespace intaglio::audit
