#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "json/json.h"

namespace intaglio::up {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t shown_lines = 12;

Error failure(const std::string& what) { return {ErrorCode::configuration, what + ": " + std::strerror(errno)}; }

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) noexcept : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int value() const noexcept { return value_; }

 private:
  int value_;
};

std::string read_from(const std::filesystem::path& path, std::uintmax_t start) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(start));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string last_lines(const std::string& text) {
  std::size_t at = text.size();
  for (std::size_t lines = 0; at > 0 && lines <= shown_lines; ++lines) {
    at = text.rfind('\n', at - 1);
    if (at == std::string::npos) return text;
  }
  return at == 0 ? text : text.substr(at + 1);
}

std::uintmax_t size_or_zero(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

/// Forks and executes. Between fork and exec only async-signal-safe calls are made: everything is prepared before.
Result<pid_t> spawn(const Command& command, int output) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const auto name = text.substr(0, text.find('='));
    const auto replaced = std::ranges::any_of(command.environment, [&](const auto& added) { return added.first == name; });
    if (!replaced) variables.emplace_back(text);
  }
  for (const auto& [name, value] : command.environment) variables.push_back(name + "=" + value);
  std::vector<std::string> words{command.program.string()};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (auto& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
  };
  const auto arguments = pointers(words);
  const auto environment = pointers(variables);
  const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t parent = ::getpid();

  const pid_t pid = ::fork();
  if (pid < 0) return failure("fork");
  if (pid == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(126);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGINT, SIG_DFL);
    ::dup2(nothing.value(), STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execve(command.program.c_str(), arguments.data(), environment.data());
    ::_exit(127);
  }
  return pid;
}

Result<int> open_for_append(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) return failure("cannot write " + path.string());
  return descriptor;
}

}  // namespace

Status run_to_end(const Command& command, const std::filesystem::path& log) {
  const auto start = size_or_zero(log);
  const auto log_file = open_for_append(log);
  if (!log_file) return log_file.error();
  const Descriptor descriptor(*log_file);
  const auto pid = spawn(command, descriptor.value());
  if (!pid) return pid.error();
  int state = 0;
  while (::waitpid(*pid, &state, 0) < 0) {
    if (errno != EINTR) return failure("waitpid");
  }
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return {};
  const std::string how =
      WIFEXITED(state) ? "ended with " + std::to_string(WEXITSTATUS(state)) : "was ended by signal " + std::to_string(WTERMSIG(state));
  return Error{ErrorCode::configuration, command.program.filename().string() + " " + how + "; its last lines in " + log.string() + ":\n" +
                                             last_lines(read_from(log, start))};
}

Result<Child> Child::start(std::string name, const Command& command, const std::filesystem::path& log) {
  const auto log_start = size_or_zero(log);
  const auto log_file = open_for_append(log);
  if (!log_file) return log_file.error();
  const Descriptor descriptor(*log_file);
  const auto pid = spawn(command, descriptor.value());
  if (!pid) return pid.error();
  return Child(std::move(name), *pid, log, log_start);
}

Status Child::wait_until_ready(milliseconds patience, const std::function<bool()>& give_up) {
  const auto end = steady_clock::now() + patience;
  while (steady_clock::now() < end) {
    if (give_up()) return Error{ErrorCode::configuration, "stopped while " + name_ + " was starting"};
    const bool over = ended();
    const std::string text = read_from(log_, log_start_);
    for (std::size_t at = 0; at < text.size();) {
      const auto line_end = text.find('\n', at);
      if (line_end == std::string::npos) break;
      const std::string line = text.substr(at, line_end - at);
      at = line_end + 1;
      if (line.find("\"ready\"") == std::string::npos) continue;
      const auto value = json::parse(line);
      if (value && value->is_object() && value->value("event", "") == "ready") return {};
    }
    if (over) return Error{ErrorCode::configuration, name_ + " ended before it was ready:\n" + last_words()};
    std::this_thread::sleep_for(milliseconds(20));
  }
  return Error{ErrorCode::configuration, name_ + " is not ready after " + std::to_string(patience.count()) + " ms:\n" + last_words()};
}

bool Child::ended() {
  if (!ended_ && ::waitpid(pid_, nullptr, WNOHANG) != 0) ended_ = true;
  return ended_;
}

void Child::stop(milliseconds patience) {
  if (ended()) return;
  ::kill(pid_, SIGTERM);
  const auto end = steady_clock::now() + patience;
  while (!ended() && steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(10));
  if (ended()) return;
  ::kill(pid_, SIGKILL);
  while (!ended()) std::this_thread::sleep_for(milliseconds(10));
}

std::string Child::last_words() const { return last_lines(read_from(log_, log_start_)); }

}  // namespace intaglio::up
