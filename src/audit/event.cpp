#include "audit/event.h"

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

}  // namespace

std::string_view name_of(EventType type) noexcept {
  switch (type) {
    case EventType::process_started: return "process.started";
    case EventType::process_stopped: return "process.stopped";
    case EventType::configuration_loaded: return "configuration.loaded";
    case EventType::policy_installed: return "policy.installed";
    case EventType::signer_created: return "signer.created";
    case EventType::activation_refused: return "activation.refused";
    case EventType::factors_enrolled: return "factors.enrolled";
    case EventType::factors_refused: return "factors.refused";
    case EventType::key_generated: return "key.generated";
    case EventType::proof_of_possession_signed: return "proof_of_possession.signed";
    case EventType::certificate_bound: return "certificate.bound";
    case EventType::key_suspended: return "key.suspended";
    case EventType::key_destroyed: return "key.destroyed";
    case EventType::transaction_opened: return "transaction.opened";
    case EventType::authorisation_granted: return "authorisation.granted";
    case EventType::authorisation_refused: return "authorisation.refused";
    case EventType::signature_intent: return "signature.intent";
    case EventType::signature_made: return "signature.made";
    case EventType::signature_refused: return "signature.refused";
    case EventType::signature_burned: return "signature.burned";
    case EventType::signature_redelivered: return "signature.redelivered";
    case EventType::reservation_burned: return "reservation.burned";
    case EventType::token_calls: return "token.calls";
    case EventType::token_alarm: return "token.alarm";
    case EventType::certificate_issued: return "certificate.issued";
    case EventType::certificate_refused: return "certificate.refused";
    case EventType::revocation_recorded: return "revocation.recorded";
    case EventType::crl_issued: return "crl.issued";
  }
  panic("audit: an event type outside its set");
}

std::string canonical(const Event& event, const Clock& clock, std::uint64_t index) {
  auto fields = json::Value::object();
  for (const auto& [name, value] : event.fields) fields[name] = value;
  return json::encode({{"actor", event.actor},
                       {"clock", clock.source() == ClockSource::kernel ? "kernel" : "declared"},
                       {"fields", std::move(fields)},
                       {"index", index},
                       {"outcome", name_of(event.outcome)},
                       {"subject", event.subject},
                       {"time", time_of(clock)},
                       {"type", name_of(event.type)}});
}

}  // namespace intaglio::audit
