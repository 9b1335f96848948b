#include "supervisor.h"

#include <signal.h>
#include <unistd.h>

#include <array>

#include "base/bytes.h"
#include "base/file.h"

namespace intaglio::up {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array<const char*, 3> start_order{"sam", "pki", "ssa"};
constexpr milliseconds start_patience = seconds(60);
constexpr milliseconds stop_patience = seconds(15);

/// The signals that this thread takes one by one; they were blocked before any child was started.
class Signals {
 public:
  Signals() noexcept {
    ::sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&set_, signal);
    ::sigprocmask(SIG_BLOCK, &set_, nullptr);
  }
  [[nodiscard]] int next() const noexcept {
    int signal = 0;
    ::sigwait(&set_, &signal);
    return signal;
  }
  /// Whether somebody asked us to stop; the signal stays pending.
  [[nodiscard]] static bool stop_asked() noexcept {
    sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGINT) == 1 || ::sigismember(&pending, SIGTERM) == 1 || ::sigismember(&pending, SIGHUP) == 1;
  }

 private:
  sigset_t set_{};
};

/// The running services: stopped in reverse order when this object ends.
class Services {
 public:
  explicit Services(std::filesystem::path pid_file) : pid_file_(std::move(pid_file)) {}
  ~Services() {
    std::error_code ignored;
    std::filesystem::remove(pid_file_, ignored);
    for (auto service = running_.rbegin(); service != running_.rend(); ++service) service->stop(stop_patience);
  }
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  Status start(const RunFolder& folder, const Places& places, const std::string& name) {
    auto child = Child::start(name, service_command(folder, places, name, {}), folder.at("logs/" + name + ".log"));
    if (!child) return child.error();
    running_.push_back(std::move(*child));
    return running_.back().wait_until_ready(start_patience, Signals::stop_asked);
  }
  [[nodiscard]] Status announce() const { return write_file_durably(pid_file_, as_bytes(std::to_string(::getpid()) + "\n"), 0644); }
  /// The service that ended by itself, or null.
  [[nodiscard]] const Child* fallen() {
    for (auto& service : running_) {
      if (service.ended()) return &service;
    }
    return nullptr;
  }

 private:
  std::filesystem::path pid_file_;
  std::vector<Child> running_;
};

}  // namespace

Status supervise(const RunFolder& folder, const Places& places, const Progress& progress) {
  const Signals signals;
  Services services(folder.at("up.pid"));
  for (const char* name : start_order) {
    if (auto started = services.start(folder, places, name); !started) {
      if (Signals::stop_asked()) return {};
      return started;
    }
    progress("intaglio-" + std::string(name) + " is ready");
  }
  if (auto announced = services.announce(); !announced) return announced;
  progress("all services are ready");

  while (signals.next() == SIGCHLD) {
    if (const auto* fallen = services.fallen()) {
      return Error{ErrorCode::internal, "intaglio-" + fallen->name() + " ended by itself; its last lines:\n" + fallen->last_words()};
    }
  }
  progress("stopping");
  return {};
}

}  // namespace intaglio::up
