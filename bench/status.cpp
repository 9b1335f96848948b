#include "base/file.h"
#include "crypto/revocation.h"
#include "load.h"
#include "plain_http.h"
#include "stages.h"

namespace intaglio::bench {

void measure_status(const StatusOptions& options) {
  const auto read = [](const std::filesystem::path& file) {
    return must("certificate", crypto::Certificate::parse_der(must("certificate", read_file(file, std::size_t{64} * 1024))));
  };
  const auto issuer = read(options.issuer);
  const auto certificate = read(options.certificate);
  const auto clock = make_system_clock(ClockSource::declared);
  // A nonce is answered live; without one the answer was signed before.
  for (const auto& [name, nonce] : {std::pair<std::string, Bytes>{"ocsp.p256", Bytes(32, 0x5A)}, {"ocsp-preproduced.p256", {}}}) {
    for (const auto clients : options.clients) {
      measure({name + ".c" + std::to_string(clients), clients, options.seconds}, [&, nonce = nonce](unsigned) -> Call {
        const auto connection = std::make_shared<PlainConnection>(options.port);
        const auto request = must("request", crypto::make_ocsp_request(certificate, issuer, crypto::HashAlgorithm::sha256, nonce));
        const auto message = frame_post("/ocsp", "application/ocsp-request", as_text(request));
        // One is verified before the time begins: a benchmark of refusals has no result.
        const auto first = to_bytes(connection->exchange(message));
        must("OCSP answer", crypto::verify_ocsp_response(first, issuer, clock->now()));
        if (must("OCSP answer", crypto::parse_ocsp_response(first)).certificates.at(0).status != crypto::CertificateStatus::good)
          fail("ocsp: the certificate is not good");
        return [connection, message] {
          // successful: OCSPResponse begins with a SEQUENCE of two octets of length and ENUMERATED 0.
          constexpr std::string_view successful("\x0A\x01\x00", 3);
          if (connection->exchange(message).substr(4, successful.size()) != successful) fail("ocsp: refused");
          return 1U;
        };
      });
    }
  }
}

}  // namespace intaglio::bench
