#pragma once

#include <memory>

#include "base/clock.h"
#include "http/routes.h"
#include "metrics/metrics.h"
#include "protocol/nodes.h"

namespace intaglio::ssa {

struct NodeParts {
  protocol::AskNodes ask_sam;
  std::shared_ptr<const Clock> clock;
  std::function<Status()> audit_healthy;  ///< of the log of this process
  std::function<std::uint64_t()> audit_size;
};

/// What serves on this node and what does not, for who watches it: as figures and as JSON. The SAM has no HTTP server, so each of its nodes
/// is asked here (protocol::SamService::status). One that serves is enough.
class NodeState {
 public:
  explicit NodeState(NodeParts parts) : parts_(std::move(parts)) {}

  /// `intaglio_sam_up` of a node is 0, and nothing else of it is there but what was counted here, when it does not answer.
  [[nodiscard]] std::vector<metrics::Figure> figures() const;
  /// {"state":"serving"|"refusing","sam":"serving"|"refusing"|"unreachable","sam_nodes":[{"node":…,"state":…}],"clock":bool,"audit":bool}
  [[nodiscard]] std::string json() const;
  /// GET /health/alive, /health/state (always 200) and /health/ready (503 while this node refuses). The routes hold this object.
  void add_routes(http::Router& router) const;

 private:
  struct Seen;
  [[nodiscard]] Seen look() const;

  NodeParts parts_;
};

}  // namespace intaglio::ssa
