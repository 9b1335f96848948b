#include "ssa/node_state.h"

#include "json/json.h"
#include "metrics/health.h"

namespace intaglio::ssa {
namespace {

using metrics::Figure;
using metrics::Kind;

constexpr std::size_t max_status_bytes = 1024 * 1024;

/// A number or a yes and no of the SAM's status, by its path; nothing when it is not there, so that an older SAM leaves a gap.
std::optional<double> number_at(const json::Value& status, std::initializer_list<std::string_view> path) {
  const auto* at = &status;
  for (const auto name : path) {
    at = json::member(*at, name);
    if (at == nullptr) return std::nullopt;
  }
  if (at->is_boolean()) return at->get<bool>() ? 1 : 0;
  return at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

struct Shown {
  std::initializer_list<std::string_view> path;
  const char* name;
  const char* help;
  Kind kind;
};

std::vector<Figure> sam_figures(const json::Value& status) {
  const Shown shown[] = {
      {{"clock", "synchronised"}, "intaglio_sam_clock_synchronised", "1 while the SAM's clock is synchronised", Kind::gauge},
      {{"audit", "healthy"}, "intaglio_sam_audit_healthy", "1 while the SAM's audit log takes entries", Kind::gauge},
      {{"audit", "size"}, "intaglio_sam_audit_entries", "Entries of the SAM's audit log", Kind::gauge},
      {{"revocation_lists", "current"},
       "intaglio_sam_revocation_lists_current",
       "1 while the SAM could read the revocation lists that its nodes were told of",
       Kind::gauge},
      {{"epoch"}, "intaglio_sam_policy_epoch", "Which policy is in force, counted from the first", Kind::gauge},
      {{"secrets_locked"}, "intaglio_sam_secrets_locked", "1 when the memory of secrets cannot be swapped out", Kind::gauge},
      {{"token", "hanging_calls"}, "intaglio_sam_token_hanging_calls", "Calls of the token that last longer than they may", Kind::gauge},
      {{"signer_signatures"},
       "intaglio_sam_token_signatures_total",
       "Signatures asked of signers' keys since the SAM started",
       Kind::counter},
      {{"audited_signatures"}, "intaglio_sam_audited_signatures_total", "Of these, those with a durable outcome", Kind::counter},
      {{"argon2_evaluations"}, "intaglio_sam_argon2_evaluations_total", "PINs that were hashed since the SAM started", Kind::counter},
  };
  std::vector<Figure> figures;
  for (const auto& one : shown) {
    if (const auto value = number_at(status, one.path)) figures.push_back({one.name, one.help, one.kind, *value});
  }
  return figures;
}

}  // namespace

struct NodeState::Seen {
  bool clock = false;
  bool audit = false;
  std::optional<json::Value> status;  ///< nothing when the SAM did not answer

  [[nodiscard]] std::string sam() const {
    if (!status) return "unreachable";
    const auto state = json::text_member(*status, "state", 64);
    return state && *state == "serving" ? "serving" : "refusing";
  }
  [[nodiscard]] bool serving() const { return clock && audit && sam() == "serving"; }
};

NodeState::Seen NodeState::look() const {
  Seen seen{
      .clock = static_cast<bool>(parts_.clock->synchronised()), .audit = static_cast<bool>(parts_.audit_healthy()), .status = std::nullopt};
  const auto text = parts_.sam->status();
  auto parsed = text ? json::parse(*text, {.max_bytes = max_status_bytes}) : Result<json::Value>(text.error());
  if (parsed) seen.status = *std::move(parsed);
  return seen;
}

std::vector<Figure> NodeState::figures() const {
  const auto seen = look();
  std::vector<Figure> figures = {
      {"intaglio_serving", "1 while this node would serve a signature", Kind::gauge, seen.serving() ? 1.0 : 0.0},
      {"intaglio_clock_synchronised", "1 while the clock of this process is synchronised", Kind::gauge, seen.clock ? 1.0 : 0.0},
      {"intaglio_audit_healthy", "1 while the audit log of this process takes entries", Kind::gauge, seen.audit ? 1.0 : 0.0},
      {"intaglio_audit_entries", "Entries of the audit log of this process", Kind::gauge, static_cast<double>(parts_.audit_size())},
      {"intaglio_sam_up", "1 when the SAM answers", Kind::gauge, seen.status ? 1.0 : 0.0}};
  if (seen.status) {
    auto of_sam = sam_figures(*seen.status);
    figures.insert(figures.end(), of_sam.begin(), of_sam.end());
  }
  return figures;
}

std::string NodeState::json() const {
  const auto seen = look();
  return json::encode(
      {{"state", seen.serving() ? "serving" : "refusing"}, {"sam", seen.sam()}, {"clock", seen.clock}, {"audit", seen.audit}});
}

void NodeState::add_routes(http::Router& router) const {
  metrics::add_health_routes(router, {[this] { return look().serving(); }, [this] { return json(); }});
}

}  // namespace intaglio::ssa
