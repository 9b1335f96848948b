#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "base/panic.h"
#include "base/test_support.h"

/// For the unit tests of this room and of those that call out by it.
namespace intaglio::outbound::test {

/// A port of the loopback address that somebody listens on.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void* generic = &address;
    socklen_t length = sizeof address;
    if (::bind(socket_, static_cast<sockaddr*>(generic), length) != 0 || ::listen(socket_, 8) != 0) panic("no listener");
    ::getsockname(socket_, static_cast<sockaddr*>(generic), &length);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// The next who connects; negative once `stop` was called.
  [[nodiscard]] int accept() const { return ::accept(socket_, nullptr, nullptr); }
  void stop() const { ::shutdown(socket_, SHUT_RDWR); }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

/// `openssl s_server`, an independent TLS server, with a certificate for 127.0.0.1 of its own (server.crt); other.crt is another for the
/// same name.
class TlsServer {
 public:
  /// With `options` of it; it says `greeting` to the first who connects.
  explicit TlsServer(std::vector<std::string> options, const std::string& greeting = {}) {
    make_certificate("server");
    make_certificate("other");
    start(std::move(options), greeting);
  }
  ~TlsServer() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    ::close(output_);
    ::close(input_);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  [[nodiscard]] std::filesystem::path file(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] const std::string& port() const { return port_; }

 private:
  void make_certificate(const std::string& name) const {
    const auto command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 "
        "-keyout " +
        file(name + ".key").string() + " -out " + file(name + ".crt").string() + " 2>/dev/null";
    if (::system(command.c_str()) != 0) panic("openssl req");
  }
  void start(std::vector<std::string> options, const std::string& greeting) {
    std::array<int, 2> output{}, input{};
    if (::pipe2(output.data(), O_CLOEXEC) != 0 || ::pipe2(input.data(), O_CLOEXEC) != 0) panic("no pipe");
    std::vector<std::string> words{
        "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", file("server.crt").string(), "-key", file("server.key").string()};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(output[1], STDOUT_FILENO);
      ::dup2(input[0], STDIN_FILENO);
      ::execvp("openssl", arguments.data());
      ::_exit(127);
    }
    ::close(output[1]);
    ::close(input[0]);
    output_ = output[0];
    input_ = input[1];
    if (::write(input_, greeting.data(), greeting.size()) != static_cast<ssize_t>(greeting.size())) panic("no greeting");
    std::string said;
    while (!said.ends_with('\n') || said.find("ACCEPT ") == std::string::npos) {
      char c = 0;
      if (::read(output_, &c, 1) != 1) panic("openssl s_server");
      said.push_back(c);
    }
    port_ = said.substr(said.rfind(':') + 1);
    port_.pop_back();
  }
  intaglio::test::TemporaryFolder folder_;
  pid_t process_ = -1;
  int output_ = -1;
  int input_ = -1;
  std::string port_;
};

}  // namespace intaglio::outbound::test
