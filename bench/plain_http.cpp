#include "plain_http.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "load.h"

namespace intaglio::bench {
namespace {

constexpr std::string_view head_end = "\r\n\r\n", length_name = "Content-Length: ";

}  // namespace

PlainConnection::PlainConnection(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (descriptor_ < 0 || ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("plain HTTP: no connection");
  const int on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

PlainConnection::~PlainConnection() { ::close(descriptor_); }

std::string_view PlainConnection::exchange(std::string_view request) {
  if (::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    fail("plain HTTP: not sent");
  answer_.clear();
  std::size_t body = 0;
  std::size_t whole = 0;
  while (body == 0 || answer_.size() < whole) {
    const auto have = answer_.size();
    answer_.resize(have + 8192);
    const auto count = ::recv(descriptor_, answer_.data() + have, 8192, 0);
    if (count <= 0) fail("plain HTTP: the connection ended");
    answer_.resize(have + static_cast<std::size_t>(count));
    const auto end = answer_.find(head_end);
    if (body != 0 || end == std::string::npos) continue;
    body = end + head_end.size();
    const auto at = answer_.find(length_name);
    if (at == std::string::npos || at > end) fail("plain HTTP: an answer without Content-Length");
    std::size_t length = 0;
    std::from_chars(answer_.data() + at + length_name.size(), answer_.data() + end, length);
    whole = body + length;
  }
  if (!std::string_view(answer_).starts_with("HTTP/1.1 200 ")) fail(answer_);
  return std::string_view(answer_).substr(body);
}

std::string frame_post(std::string_view path, std::string_view type, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace intaglio::bench
