#include "crypto/timestamp.h"

#include "base/file.h"
#include "crypto/random.h"
#include "load.h"
#include "plain_http.h"
#include "stages.h"

namespace intaglio::bench {
namespace {

std::string frame(ByteView request) { return frame_post("/tsa", "application/timestamp-query", as_text(request)); }

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
