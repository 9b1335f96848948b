#include "metrics/health.h"

namespace intaglio::metrics {

void add_health_routes(http::Router& router, const Health& health) {
  const auto add = [&](std::string_view path, std::function<http::Response()> answer) {
    router.add("GET", path, http::Access::anonymous,
               [answer = std::move(answer)](const http::Request&, const http::PathParameters&) { return answer(); });
  };
  add("/health/alive", [] { return http::json_answer(R"({"status":"alive"})"); });
  add("/health/ready", [health] {
    return health.serving() ? http::json_answer(R"({"status":"ready"})") : http::json_answer(R"({"status":"refusing"})", 503);
  });
  add("/health/state", [health] { return http::json_answer(health.state()); });
}

}  // namespace intaglio::metrics
