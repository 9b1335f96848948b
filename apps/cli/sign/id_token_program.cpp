#include "sign/id_token_program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t max_token = 16 * 1024;

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) noexcept : value_(value) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void close() noexcept {
    if (value_ >= 0) ::close(value_);
    value_ = -1;
  }
  [[nodiscard]] int value() const noexcept { return value_; }

 private:
  int value_;
};

/// Until its end or one byte more than a token may have.
std::string read_to_end(int descriptor) {
  std::string text;
  std::array<char, 4096> piece{};
  while (text.size() <= max_token) {
    const auto got = ::read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return text;
}

bool ended_well(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

Result<Secret> ask_identity_provider(const std::filesystem::path& program, ByteView binding) {
  const std::string what = "--id-token-program " + program.string();
  const auto broken = [&] { return problem(ErrorCode::internal, what + ": " + std::strerror(errno), "free memory and file descriptors"); };
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return broken();
  Descriptor reading(ends[0]), writing(ends[1]);
  std::string path = program.string(), nonce = encode_base64url(binding);
  const std::array<char*, 3> words{path.data(), nonce.data(), nullptr};
  const auto child = ::fork();
  if (child < 0) return broken();
  if (child == 0) {
    // Nothing but async-signal-safe calls between fork and exec.
    ::dup2(writing.value(), STDOUT_FILENO);
    ::close(reading.value());
    ::close(writing.value());
    ::execv(path.c_str(), words.data());
    ::_exit(127);
  }
  writing.close();
  auto text = read_to_end(reading.value());
  // A program that has more to say is not waited for.
  reading.close();
  const bool well = ended_well(child);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const bool token = text.size() <= max_token && std::count(text.begin(), text.end(), '.') == 2;
  if (!well || !token)
    return problem(ErrorCode::authentication_failed, what + " gave no ID token",
                   "it must be executable, take the nonce as its argument, print the token alone and end with 0");
  return Secret(as_bytes(text));
}

}  // namespace intaglio::cli
