#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "crypto/certificate.h"
#include "metrics/metrics.h"

namespace intaglio::metrics {
namespace {

constexpr std::size_t max_chain_bytes = 128 * 1024;

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// proc(5): the second number of statm is the resident set, in pages.
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double whole = 0;
  double resident = 0;
  statm >> whole >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
  std::error_code failed;
  double count = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end; at.increment(failed)) ++count;
  return count;
}

}  // namespace

Source process_figures(const std::string& program, const std::string& version) {
  const auto started = static_cast<double>(unix_seconds(make_system_clock(ClockSource::declared)->now()));
  return [=]() -> std::vector<Figure> {
    return {{"process_start_time_seconds", "Start of the process, seconds since 1970", Kind::gauge, started},
            {"process_cpu_seconds_total", "Processor time of the process", Kind::counter, processor_seconds()},
            {"process_resident_memory_bytes", "Memory of the process that is in RAM", Kind::gauge, resident_bytes()},
            {"process_open_fds", "Open file descriptors", Kind::gauge, open_descriptors()},
            {"intaglio_build_info",
             "Always 1; what runs",
             Kind::gauge,
             1,
             {{"program", program}, {"version", version}, {"flavour", testing_build ? "testing" : "release"}}}};
  };
}

Source certificate_figures(const std::string& listener, const std::string& chain_file) {
  return [=]() -> std::vector<Figure> {
    const auto pem = read_file(chain_file, max_chain_bytes);
    if (!pem) return {};
    const auto first = crypto::Certificate::parse_pem(as_text(*pem));
    if (!first) return {};
    return {{"intaglio_tls_certificate_end_seconds",
             "End of the listener's TLS certificate, seconds since 1970",
             Kind::gauge,
             static_cast<double>(unix_seconds(first->not_after())),
             {{"listener", listener}}}};
  };
}

}  // namespace intaglio::metrics
