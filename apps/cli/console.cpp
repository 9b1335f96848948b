#include "console.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t max_answer = 256;

/// The controlling terminal, its echo restored when this ends.
class Terminal {
 public:
  static Result<Terminal> open() {
    const int descriptor = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0) {
      return problem(ErrorCode::invalid_request, "there is no terminal to ask on",
                     "run the command in a terminal, or give the file options for scripts (see --help)");
    }
    return Terminal(descriptor);
  }
  Terminal(Terminal&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), saved_(other.saved_) {}
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal() {
    if (descriptor_ < 0) return;
    if (saved_) ::tcsetattr(descriptor_, TCSAFLUSH, &*saved_);
    ::close(descriptor_);
  }

  Status hide_input() {
    termios state{};
    if (::tcgetattr(descriptor_, &state) != 0) return Error{ErrorCode::internal, "the terminal does not tell its state"};
    saved_ = state;
    state.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (::tcsetattr(descriptor_, TCSAFLUSH, &state) != 0) return Error{ErrorCode::internal, "the terminal does not hide input"};
    return {};
  }

  void write(std::string_view text) const {
    while (!text.empty()) {
      const auto done = ::write(descriptor_, text.data(), text.size());
      if (done <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(done));
    }
  }

  /// One line, straight into memory that is wiped.
  [[nodiscard]] Result<Secret> read_line() const {
    auto line = Secret::of_size(max_answer);
    std::size_t length = 0;
    for (;;) {
      char byte = 0;
      const auto got = ::read(descriptor_, &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return problem(ErrorCode::invalid_request, "the input ended", "run the command again and answer the question");
      if (byte == '\n' || byte == '\r') break;
      if (length == max_answer) return problem(ErrorCode::invalid_request, "the answer is too long", "run the command again");
      line.writable()[length++] = static_cast<std::uint8_t>(byte);
    }
    return Secret(line.reveal().first(length));
  }

 private:
  explicit Terminal(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
  std::optional<termios> saved_;
};

}  // namespace

void Progress::step(std::string_view text) const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  std::fprintf(stderr, "[%7.3f s] %.*s\n", passed.count(), static_cast<int>(text.size()), text.data());
}

void say(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return out;
}

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

Result<Secret> ask_secret(std::string_view prompt) {
  auto terminal = Terminal::open();
  if (!terminal) return terminal.error();
  terminal->write(std::string(prompt) + ": ");
  if (auto hidden = terminal->hide_input(); !hidden) return hidden.error();
  auto answer = terminal->read_line();
  terminal->write("\n");
  return answer;
}

Result<std::string> ask_line(std::string_view prompt) {
  auto terminal = Terminal::open();
  if (!terminal) return terminal.error();
  terminal->write(std::string(prompt) + " ");
  auto answer = terminal->read_line();
  if (!answer) return answer.error();
  return std::string(as_text(answer->reveal()));
}

Result<Secret> secret_from(const std::optional<std::filesystem::path>& file, std::string_view prompt, std::string_view option) {
  if (!file) return ask_secret(prompt);
  auto secret = read_secret_file(*file, max_answer);
  if (!secret) {
    return because(secret.error(), std::string(option) + " " + file->string(),
                   "the file must exist, hold the secret alone, and have mode 0600");
  }
  return secret;
}

}  // namespace intaglio::cli
