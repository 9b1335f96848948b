#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/document.h"
#include "http/routes.h"

namespace intaglio::metrics {

enum class Kind { counter, gauge };

/// One number for a collector. Names and labels are of fixed sets: never the id of a signer, a key, a client or a request.
struct Figure {
  std::string name;  ///< as Prometheus asks: base units, `_total` for a counter
  std::string help;
  Kind kind = Kind::gauge;
  double value = 0;
  std::vector<std::pair<std::string, std::string>> labels{};
};

/// Asked at each scrape. Figures of one name have one help and one kind.
using Source = std::function<std::vector<Figure>()>;

/// What one process counts, as the text that Prometheus collects (exposition format 0.0.4).
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// For Router::observe_with: counts answers by route and status, and how long they took. This object outlives the router.
  [[nodiscard]] http::Observer observer(const std::string& listener);
  /// Before the first scrape.
  void add(Source source);
  [[nodiscard]] std::string text() const;
  /// GET /metrics. The routes hold this object: it outlives the router.
  void add_routes(http::Router& router);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Plain HTTP with few connections: refused (`configuration`) for an address that is no loopback address, since nothing asks who reads. A
/// collector elsewhere comes through an agent of its own on this host.
[[nodiscard]] Result<http::ListenerConfig> listener_on(const std::string& address, std::uint16_t port);
/// The section [metrics]: nothing when it is not there or its address is empty; what is wrong is refused in the document.
[[nodiscard]] std::optional<http::ListenerConfig> read_listener(config::Document& document, std::uint16_t port);
/// Start, processor time, memory and descriptors of this process, under the names that every collector knows; what was built.
[[nodiscard]] Source process_figures(const std::string& program, const std::string& version);
/// When the first certificate of a PEM file ends, read anew at each scrape: an alarm rings before it does.
[[nodiscard]] Source certificate_figures(const std::string& listener, const std::string& chain_file);

}  // namespace intaglio::metrics
