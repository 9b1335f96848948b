#pragma once

#include <functional>
#include <string>

#include "http/routes.h"

namespace intaglio::metrics {

/// What who watches a process asks it. Asked anew for each answer, on the server's threads.
struct Health {
  std::function<bool()> serving;       ///< whether it would do what it is there for
  std::function<std::string()> state;  ///< what that hangs on: JSON
};

/// GET /health/alive (200 while the process runs), /health/ready (503 while it would not serve) and /health/state (always 200). The routes
/// hold a copy: what it refers to outlives the router.
void add_health_routes(http::Router& router, const Health& health);

}  // namespace intaglio::metrics
