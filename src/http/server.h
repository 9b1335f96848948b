#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

namespace intaglio::http {

/// A bounded request, whole in memory. Header names are lower case; a header that came twice is refused before (400).
struct Request {
  std::string method;
  std::string path;    ///< without query, percent-decoded never: routes are plain ASCII
  std::string query;   ///< raw, without '?'
  std::map<std::string, std::string, std::less<>> headers;
  std::string body;
  std::string peer_address;
  Bytes peer_certificate;  ///< DER of the client certificate, verified unless the listener takes any, or empty
  std::string request_id;  ///< made by the server; goes into logs and the answer's X-Request-Id
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json;charset=UTF-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct ListenerConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                  ///< 0: any free one, see Server::port
  bool tls = true;                         ///< plain only for OCSP/CRL and loopback tests
  std::string certificate_chain_file, private_key_file;
  std::string client_ca_file;              ///< not empty: a client certificate of it is required
  bool any_client_certificate = false;  ///< a client certificate is required, of whatever issuer: whose it is, the handler decides
  bool http_1_0 = false;  ///< also HTTP/1.0, one request a connection: OCSP clients such as openssl(1) speak nothing else
  std::size_t max_header_bytes = 8 * 1024;
  std::size_t max_body_bytes = 64 * 1024;
  std::chrono::seconds request_timeout{10};  ///< from the first byte of a request to its last
  std::chrono::seconds idle_timeout{30};
  unsigned max_connections = 12000;
  unsigned io_threads = 1;
  unsigned workers = 32;
  std::size_t max_queue = 1024;  ///< more waiting requests: 503
};

using Handler = std::function<Response(const Request&)>;

/// HTTP/1.1 over TLS 1.3 only: callbacks on the I/O threads, the blocking handler on a bounded worker pool.
class Server {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ListenerConfig& config, Handler handler);
  ~Server();
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// No new connections, idle ones closed, requests under way finished within `grace`.
  void stop(std::chrono::seconds grace);

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace intaglio::http
