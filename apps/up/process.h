#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace intaglio::up {

/// A program to run: no shell takes part. `environment` is added to our own.
struct Command {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
};

/// Runs the command to its end; what it prints goes to the end of `log`. Refused (`configuration`) with the last lines of the
/// log when it ends with anything but 0.
Status run_to_end(const Command& command, const std::filesystem::path& log);

/// A service that we started. It gets SIGTERM when we die, however we die; it stands in a process group of its own, so that
/// Ctrl-C reaches us alone and the stop is orderly.
class Child {
 public:
  [[nodiscard]] static Result<Child> start(std::string name, const Command& command, const std::filesystem::path& log);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Until the log carries the line of event `ready`. Refused when the process ends, `patience` ends or `give_up` says so, first.
  Status wait_until_ready(std::chrono::milliseconds patience, const std::function<bool()>& give_up);
  /// True when it has ended.
  [[nodiscard]] bool ended();
  /// SIGTERM, and SIGKILL when `patience` is over.
  void stop(std::chrono::milliseconds patience);
  /// What its log says since the start, last lines first to be seen.
  [[nodiscard]] std::string last_words() const;

 private:
  Child(std::string name, pid_t pid, std::filesystem::path log, std::uintmax_t log_start)
      : name_(std::move(name)), pid_(pid), log_(std::move(log)), log_start_(log_start) {}
  std::string name_;
  pid_t pid_;
  std::filesystem::path log_;
  std::uintmax_t log_start_;
  bool ended_ = false;
};

}  // namespace intaglio::up
