#pragma once

#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace intaglio::bench {

/// One kept HTTPS connection (TLS 1.3, loopback), as cheap as a client can be: it blocks, and reads no more of an answer than it must.
class HttpsConnection {
 public:
  HttpsConnection(ssl_ctx_st* context, std::uint16_t port);
  ~HttpsConnection();
  HttpsConnection(const HttpsConnection&) = delete;
  HttpsConnection& operator=(const HttpsConnection&) = delete;

  /// Sends one whole request; the view of the answer's body holds until the next call. Ends the program for any status but 200.
  std::string_view exchange(std::string_view request);

  /// Files, PEM; both empty: the client shows no certificate.
  struct Identity {
    std::string certificate, key;
  };
  [[nodiscard]] static std::shared_ptr<ssl_ctx_st> make_context(const std::string& ca_file, const Identity& identity);

 private:
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> tls_;
  std::string answer_;
};

}  // namespace intaglio::bench
