#include "crypto/timestamp.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "base/file.h"
#include "crypto/random.h"
#include "load.h"
#include "stages.h"

namespace intaglio::bench {
namespace {

constexpr std::string_view head_end = "\r\n\r\n", length_name = "Content-Length: ";

/// One kept plain HTTP connection to the loopback.
class PlainConnection {
 public:
  explicit PlainConnection(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (descriptor_ < 0 || ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      fail("tsa: no connection");
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~PlainConnection() { ::close(descriptor_); }
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;

  /// The body of a 200; the view holds until the next call.
  std::string_view exchange(std::string_view request) {
    if (::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) fail("tsa: not sent");
    answer_.clear();
    std::size_t body = 0;
    std::size_t whole = 0;
    while (body == 0 || answer_.size() < whole) {
      const auto have = answer_.size();
      answer_.resize(have + 8192);
      const auto count = ::recv(descriptor_, answer_.data() + have, 8192, 0);
      if (count <= 0) fail("tsa: the connection ended");
      answer_.resize(have + static_cast<std::size_t>(count));
      const auto end = answer_.find(head_end);
      if (body != 0 || end == std::string::npos) continue;
      body = end + head_end.size();
      const auto at = answer_.find(length_name);
      if (at == std::string::npos || at > end) fail("tsa: an answer without Content-Length");
      std::size_t length = 0;
      std::from_chars(answer_.data() + at + length_name.size(), answer_.data() + end, length);
      whole = body + length;
    }
    if (!std::string_view(answer_).starts_with("HTTP/1.1 200 ")) fail(answer_);
    return std::string_view(answer_).substr(body);
  }

 private:
  int descriptor_;
  std::string answer_;
};

std::string frame(ByteView request) {
  return "POST /tsa HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/timestamp-query\r\nContent-Length: " +
         std::to_string(request.size()) + "\r\n\r\n" + std::string(as_text(request));
}

}  // namespace

void measure_timestamps(const TimestampOptions& options) {
  const auto root = must("root", crypto::Certificate::parse_der(must("root", read_file(options.root, std::size_t{64} * 1024))));
  const auto clock = make_system_clock(ClockSource::declared);
  for (const auto clients : options.clients) {
    measure({"tsa.p256.c" + std::to_string(clients), clients, options.seconds}, [&](unsigned) -> Call {
      const auto connection = std::make_shared<PlainConnection>(options.port);
      const auto digest = must("random", crypto::random_bytes(32));
      const auto request = must("request", crypto::make_timestamp_request(crypto::HashAlgorithm::sha256, digest, "", digest, true));
      // One is verified before the time begins: a benchmark of refusals has no result.
      must("time-stamp",
           crypto::verify_timestamp_response(as_bytes(connection->exchange(frame(request))), request, {}, {root}, clock->now()));
      return [connection, message = frame(request)] {
        // granted: the first octets of a TimeStampResp with status 0 and no text.
        constexpr std::string_view granted("\x30\x03\x02\x01\x00", 5);
        if (connection->exchange(message).substr(4, granted.size()) != granted) fail("tsa: refused");
        return 1U;
      };
    });
  }
}

}  // namespace intaglio::bench
