#include "load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <latch>

#include "json/json.h"

namespace intaglio::bench {
namespace {

using std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;
using Seconds = std::chrono::duration<double>;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Nearest rank; `sorted` is not empty.
double percentile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::min(sorted.size(), std::max<std::size_t>(rank, 1)) - 1];
}

struct Tally {
  std::uint64_t signatures = 0;
  std::vector<double> latencies;
  steady_clock::time_point end;
};

}  // namespace

void fail(std::string_view what) {
  std::fprintf(stderr, "intaglio-bench: %.*s\n", static_cast<int>(what.size()), what.data());
  std::fflush(stderr);
  ::_exit(1);
}

void fail(std::string_view what, const Error& error) {
  fail(std::string(what) + ": " + std::string(name_of(error.code)) + ": " + error.detail);
}

void measure(const Load& load, const MakeCall& make) {
  std::vector<Tally> tallies(load.clients);
  std::latch ready(load.clients + 1);
  std::latch go(1);
  steady_clock::time_point begin;
  std::vector<std::thread> threads;
  for (unsigned client = 0; client < load.clients; ++client) {
    threads.emplace_back([&, client] {
      const auto call = make(client);
      Tally tally;
      tally.latencies.reserve(65536);
      ready.count_down();
      go.wait();
      const auto deadline = begin + std::chrono::duration_cast<steady_clock::duration>(Seconds(load.seconds));
      auto now = steady_clock::now();
      while (now < deadline) {
        const auto signatures = call();
        if (signatures == 0) break;
        const auto after = steady_clock::now();
        tally.latencies.push_back(Microseconds(after - now).count());
        tally.signatures += signatures;
        now = after;
      }
      tally.end = now;
      tallies[client] = std::move(tally);
    });
  }
  ready.arrive_and_wait();
  const auto cpu_before = cpu_seconds();
  begin = steady_clock::now();
  go.count_down();
  for (auto& thread : threads) thread.join();
  const auto cpu = cpu_seconds() - cpu_before;

  std::vector<double> latencies;
  std::uint64_t signatures = 0;
  auto end = begin;
  for (const auto& tally : tallies) {
    latencies.insert(latencies.end(), tally.latencies.begin(), tally.latencies.end());
    signatures += tally.signatures;
    end = std::max(end, tally.end);
  }
  if (latencies.empty()) fail(load.name + ": not one call was made");
  std::sort(latencies.begin(), latencies.end());
  const json::Value line = {{"name", load.name},
                            {"clients", load.clients},
                            {"calls", latencies.size()},
                            {"ops", signatures},
                            {"seconds", Seconds(end - begin).count()},
                            {"cpu", cpu},
                            {"p50", percentile(latencies, 0.50)},
                            {"p95", percentile(latencies, 0.95)},
                            {"p99", percentile(latencies, 0.99)}};
  std::printf("%s\n", json::encode(line).c_str());
  std::fflush(stdout);
}

}  // namespace intaglio::bench
