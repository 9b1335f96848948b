#include "ssa/node_state.h"

#include <algorithm>
#include <iterator>

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

/// What a node of the SAM says of itself.
std::vector<Figure> figures_of(const json::Value& status) {
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

/// A node of the SAM, and its status as it could be read.
struct SeenNode {
  protocol::NodeReport report;
  std::optional<json::Value> status;  ///< nothing when it did not answer

  [[nodiscard]] std::string_view state() const {
    if (!status) return "unreachable";
    const auto said = json::text_member(*status, "state", 64);
    return said && *said == "serving" ? "serving" : "refusing";
  }
  [[nodiscard]] std::vector<Figure> figures() const {
    std::vector<Figure> all = {
        {"intaglio_sam_up", "1 when this node of the SAM answers", Kind::gauge, status ? 1.0 : 0.0},
        {"intaglio_sam_left_out", "1 while calls go to other nodes of the SAM", Kind::gauge, report.left_out ? 1.0 : 0.0},
        {"intaglio_sam_calls_total", "Calls that were tried on this node of the SAM", Kind::counter, static_cast<double>(report.calls)},
        {"intaglio_sam_failures_total", "Of these, those that it did not take, did not answer, or refused because it does not serve",
         Kind::counter, static_cast<double>(report.failures)},
        {"intaglio_sam_taken_over_total", "Of these, those that another node had failed", Kind::counter,
         static_cast<double>(report.taken_over)}};
    if (status) {
      auto told = figures_of(*status);
      std::move(told.begin(), told.end(), std::back_inserter(all));
    }
    for (auto& figure : all) figure.labels = {{"node", report.name}};
    return all;
  }
};

}  // namespace

struct NodeState::Seen {
  bool clock = false;
  bool audit = false;
  std::vector<SeenNode> nodes{};

  /// The best that one of its nodes does.
  [[nodiscard]] std::string_view sam() const {
    for (const std::string_view state : {"serving", "refusing"}) {
      if (std::any_of(nodes.begin(), nodes.end(), [&](const SeenNode& node) { return node.state() == state; })) return state;
    }
    return "unreachable";
  }
  [[nodiscard]] bool serving() const { return clock && audit && sam() == "serving"; }
};

NodeState::Seen NodeState::look() const {
  Seen seen{.clock = static_cast<bool>(parts_.clock->synchronised()), .audit = static_cast<bool>(parts_.audit_healthy())};
  for (auto& report : parts_.ask_sam()) {
    const auto& text = report.status;
    auto parsed = text ? json::parse(*text, {.max_bytes = max_status_bytes}) : Result<json::Value>(text.error());
    auto status = parsed ? std::optional(*std::move(parsed)) : std::nullopt;
    seen.nodes.push_back({std::move(report), std::move(status)});
  }
  return seen;
}

std::vector<Figure> NodeState::figures() const {
  const auto seen = look();
  std::vector<Figure> figures = {
      {"intaglio_serving", "1 while this node would serve a signature", Kind::gauge, seen.serving() ? 1.0 : 0.0},
      {"intaglio_clock_synchronised", "1 while the clock of this process is synchronised", Kind::gauge, seen.clock ? 1.0 : 0.0},
      {"intaglio_audit_healthy", "1 while the audit log of this process takes entries", Kind::gauge, seen.audit ? 1.0 : 0.0},
      {"intaglio_audit_entries", "Entries of the audit log of this process", Kind::gauge, static_cast<double>(parts_.audit_size())}};
  for (const auto& node : seen.nodes) {
    auto of_node = node.figures();
    std::move(of_node.begin(), of_node.end(), std::back_inserter(figures));
  }
  return figures;
}

std::string NodeState::json() const {
  const auto seen = look();
  auto nodes = json::Value::array();
  for (const auto& node : seen.nodes) nodes.push_back({{"node", node.report.name}, {"state", std::string(node.state())}});
  return json::encode({{"state", seen.serving() ? "serving" : "refusing"},
                       {"sam", std::string(seen.sam())},
                       {"sam_nodes", std::move(nodes)},
                       {"clock", seen.clock},
                       {"audit", seen.audit}});
}

void NodeState::add_routes(http::Router& router) const {
  metrics::add_health_routes(router, {[this] { return look().serving(); }, [this] { return json(); }});
}

}  // namespace intaglio::ssa
