#pragma once

#include <string>
#include <vector>

#include "http/routes.h"
#include "metrics/metrics.h"
#include "pki/service.h"

namespace intaglio::pki {

/// What serves in this process and what does not, for who watches it: as figures and as JSON.
class State {
 public:
  /// All that it refers to outlives it; `root_list_end`: nextUpdate of the root's list, which another ceremony makes anew.
  State(const Service& service, Environment environment, UnixTime root_list_end)
      : service_(service), environment_(std::move(environment)), root_list_end_(root_list_end) {}

  [[nodiscard]] std::vector<metrics::Figure> figures() const;
  /// {"state":"serving"|"refusing","clock":bool,"audit":bool,"list":bool,"responder":bool}; `list` and `responder`: whether the list and
  /// the responder's certificate are in force.
  [[nodiscard]] std::string json() const;
  /// GET /health/alive, /health/state (always 200) and /health/ready (503 while this process refuses). The routes hold this object.
  void add_routes(http::Router& router) const;

 private:
  struct Seen;
  [[nodiscard]] Seen look() const;

  const Service& service_;
  Environment environment_;
  UnixTime root_list_end_;
};

}  // namespace intaglio::pki
