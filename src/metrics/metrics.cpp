#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>

#include "base/check.h"

namespace intaglio::metrics {
namespace {

/// Seconds: from an answer out of memory to a call that waits for a token.
const prometheus::Histogram::BucketBoundaries buckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20};

prometheus::ClientMetric sample(const Figure& figure) {
  prometheus::ClientMetric made;
  for (const auto& [name, value] : figure.labels) made.label.push_back({name, value});
  if (figure.kind == Kind::counter) {
    made.counter.value = figure.value;
  } else {
    made.gauge.value = figure.value;
  }
  return made;
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& answers = prometheus::BuildCounter()
                                                         .Name("intaglio_http_requests_total")
                                                         .Help("Requests that were answered, by listener, route and status")
                                                         .Register(registry);
  prometheus::Family<prometheus::Histogram>& durations = prometheus::BuildHistogram()
                                                             .Name("intaglio_http_request_duration_seconds")
                                                             .Help("From the whole request to its answer, by listener and route")
                                                             .Register(registry);
  std::vector<Source> sources;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

namespace {

/// The series of one listener that have counted already: finding one by its labels costs more than counting.
class Series {
 public:
  struct One {
    prometheus::Counter* answers;
    prometheus::Histogram* durations;
  };
  template <typename Make>
  One find(std::string_view pattern, unsigned status, Make make) {
    const std::lock_guard lock(mutex_);
    auto& of_status = known_[status];
    const auto found = of_status.find(pattern);
    return found != of_status.end() ? found->second : of_status.emplace(pattern, make()).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<unsigned, std::map<std::string, One, std::less<>>> known_;
};

}  // namespace

http::Observer Metrics::observer(const std::string& listener) {
  return [state = state_.get(), listener, series = std::make_shared<Series>()](std::string_view pattern, unsigned status,
                                                                               std::chrono::steady_clock::duration took) {
    const auto [answers, durations] = series->find(pattern, status, [&] {
      const std::string route(pattern.empty() ? "none" : pattern);
      return Series::One{&state->answers.Add({{"listener", listener}, {"route", route}, {"status", std::to_string(status)}}),
                         &state->durations.Add({{"listener", listener}, {"route", route}}, buckets)};
    });
    answers->Increment();
    durations->Observe(std::chrono::duration<double>(took).count());
  };
}

void Metrics::add(Source source) { state_->sources.push_back(std::move(source)); }

std::string Metrics::text() const {
  auto families = state_->registry.Collect();
  std::map<std::string, prometheus::MetricFamily> asked;
  for (const auto& source : state_->sources) {
    for (const auto& figure : source()) {
      auto& family = asked[figure.name];
      family.name = figure.name;
      family.help = figure.help;
      family.type = figure.kind == Kind::counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      family.metric.push_back(sample(figure));
    }
  }
  for (auto& [name, family] : asked) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

void Metrics::add_routes(http::Router& router) {
  router.add("GET", "/metrics", http::Access::anonymous, [this](const http::Request&, const http::PathParameters&) {
    http::Response answer;
    answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = text();
    return answer;
  });
}

Result<http::ListenerConfig> listener_on(const std::string& address, std::uint16_t port) {
  if (refused_by("metrics.loopback", address != "::1" && !address.starts_with("127."))) {
    return Error{ErrorCode::configuration, "must be a loopback address: who asks for figures is not asked who he is"};
  }
  http::ListenerConfig listener;
  listener.address = address;
  listener.port = port;
  listener.tls = false;
  listener.max_connections = 16;
  listener.workers = 1;
  return listener;
}

std::optional<http::ListenerConfig> read_listener(config::Document& document, std::uint16_t port) {
  auto section =
      document.section("metrics", "/metrics for a collector and /health/* for who watches this node: plain HTTP on this host alone.");
  const auto address = section.text("address", "Loopback address to listen on; empty: no figures are shown.", "");
  const auto taken = section.port("port", "Port; 0 lets the system choose.", port);
  if (address.empty()) return std::nullopt;
  auto listener = listener_on(address, taken);
  if (listener) return *std::move(listener);
  section.refuse("address", listener.error().detail);
  return std::nullopt;
}

}  // namespace intaglio::metrics
