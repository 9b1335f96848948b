#include "protocol/wire/link.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/socket_bio.h"
#include "protocol/wire/frame.h"

namespace intaglio::protocol::wire {
namespace {

/// The answer to one signature has some hundred octets; what is larger grows.
constexpr std::size_t read_size = 4 * 1024;

Error unreachable(const std::string& why) { return {ErrorCode::token_unavailable, "wire: the SAM cannot be reached: " + why}; }

class Socket {
 public:
  explicit Socket(int descriptor) noexcept : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

/// False when the deadline passed.
bool wait_for(int descriptor, short events, Deadline deadline) {
  pollfd waited{descriptor, events, 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    const int ready = ::poll(&waited, 1, static_cast<int>(std::min<decltype(left)>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Result<Socket> connect_to(const addrinfo& address, Deadline deadline) {
  Socket socket(::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (socket.get() < 0) return unreachable("no socket");
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS || !wait_for(socket.get(), POLLOUT, deadline)) return unreachable("no answer");
  int failure = 0;
  socklen_t length = sizeof failure;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &failure, &length);
  if (failure != 0) return unreachable("refused");
  return socket;
}

Result<Socket> connect_to(const ClientConfig& config, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(config.address.c_str(), std::to_string(config.port).c_str(), &hints, &found) != 0)
    return unreachable("unknown address");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    auto connected = connect_to(*one, deadline);
    if (connected || one->ai_next == nullptr) return connected;
  }
  return unreachable("no address");
}

struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

}  // namespace

Error unknown_outcome(std::string_view why) { return {ErrorCode::internal, "outcome unknown: " + std::string(why)}; }

struct Link::State {
  explicit State(Socket connected) : socket(std::move(connected)), descriptor(socket.get()) {}
  Socket socket;
  int descriptor;
  std::unique_ptr<SSL, FreeSsl> ssl;

  /// True when OpenSSL asked for more traffic and it can go on before the deadline.
  [[nodiscard]] bool can_go_on(int result, Deadline deadline) const {
    switch (SSL_get_error(ssl.get(), result)) {
      case SSL_ERROR_WANT_READ: return wait_for(descriptor, POLLIN, deadline);
      case SSL_ERROR_WANT_WRITE: return wait_for(descriptor, POLLOUT, deadline);
      default: return false;
    }
  }
};

Link::Link(std::unique_ptr<State> state) : state_(std::move(state)) {}
Link::~Link() = default;

Result<std::unique_ptr<Link>> Link::open(const TlsContext& tls, const ClientConfig& config, Deadline deadline) {
  auto socket = connect_to(config, deadline);
  if (!socket) return socket.error();
  auto state = std::make_unique<State>(*std::move(socket));
  state->ssl.reset(SSL_new(tls.native()));
  if (!state->ssl || !net::attach_socket(state->ssl.get(), state->descriptor)) return unreachable("out of memory");
  ERR_clear_error();
  while (true) {
    const int result = SSL_connect(state->ssl.get());
    if (result == 1) return std::unique_ptr<Link>(new Link(std::move(state)));
    if (!state->can_go_on(result, deadline)) return unreachable("TLS handshake: " + tls_failure());
  }
}

bool Link::quiet() const noexcept {
  pollfd waited{state_->descriptor, POLLIN, 0};
  return SSL_has_pending(state_->ssl.get()) == 0 && ::poll(&waited, 1, 0) == 0;
}

Status Link::send(ByteView frame, Deadline deadline) {
  ERR_clear_error();
  while (true) {
    const int result = SSL_write(state_->ssl.get(), frame.data(), static_cast<int>(frame.size()));
    if (result > 0) return {};
    if (!state_->can_go_on(result, deadline)) return unreachable("not sent: " + tls_failure());
  }
}

Result<Bytes> Link::receive(Deadline deadline) {
  Bytes frame(read_size);
  std::size_t have = 0;
  std::size_t whole = frame_header_bytes;
  ERR_clear_error();
  while (have < whole) {
    if (SSL_has_pending(state_->ssl.get()) == 0 && !wait_for(state_->descriptor, POLLIN, deadline))
      return unknown_outcome("no answer in time");
    const int result = SSL_read(state_->ssl.get(), frame.data() + have, static_cast<int>(frame.size() - have));
    if (result <= 0) {
      if (!state_->can_go_on(result, deadline)) return unknown_outcome("connection lost: " + tls_failure());
      continue;
    }
    const std::size_t before = std::exchange(have, have + static_cast<std::size_t>(result));
    if (before < frame_header_bytes && have >= frame_header_bytes) {
      const auto length = parse_frame_length(ByteView(frame).first(frame_header_bytes));
      if (!length) return unknown_outcome(length.error().detail);
      whole = frame_header_bytes + *length;
      if (frame.size() < whole) frame.resize(whole);
    }
  }
  if (have != whole) return unknown_outcome("more than one answer");
  frame.resize(whole);
  frame.erase(frame.begin(), frame.begin() + frame_header_bytes);
  return frame;
}

}  // namespace intaglio::protocol::wire
