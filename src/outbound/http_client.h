#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace intaglio::outbound {

/// Where and how a process may call out. Nothing else is reached: no redirect, no proxy of the environment, no other protocol.
struct HttpClientConfig {
  std::filesystem::path ca_file;             ///< PEM; the only roots that count. Required for https
  std::filesystem::path certificate_file;    ///< client certificate, PEM chain; empty: none
  std::filesystem::path private_key_file;
  std::vector<std::string> allowed;          ///< "host:port" in lower case, "[::1]:8443" for IPv6; empty: nothing is reached
  bool allow_plain_loopback = false;         ///< http to 127.0.0.1, ::1 or localhost
  std::size_t max_response_bytes = 1024 * 1024;
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds timeout{20000};  ///< for the whole exchange
  /// Without it each request has a connection of its own. With it libcurl repeats, once, a request whose kept connection ended before the
  /// first byte of an answer: good only for requests that the server does not carry out twice.
  bool keep_connections = true;
};

struct HttpAnswer {
  unsigned status = 0;
  std::string content_type;
  std::string body;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// HTTPS (TLS 1.2 or later) with pinned roots. Thread-safe and cheap to copy; copies share the kept connections, one request on each at a time.
/// An answer of any status is an answer. Refused: `configuration` (address not allowed, unreadable files), `busy` (not
/// reached, nothing was sent), `too_large` (answer), `internal` with detail "outcome unknown: …" (sent, not answered).
class HttpClient {
 public:
  [[nodiscard]] static Result<HttpClient> create(HttpClientConfig config);
  /// What each request asks first, for who has an address from the configuration: `configuration` when none to it would be sent.
  [[nodiscard]] Status check(std::string_view url) const;
  [[nodiscard]] Result<HttpAnswer> get(std::string_view url, const HttpHeaders& headers = {}) const;
  /// `body`: JSON text.
  [[nodiscard]] Result<HttpAnswer> post_json(std::string_view url, std::string_view body, const HttpHeaders& headers = {}) const;
  /// application/x-www-form-urlencoded; the values are encoded here.
  [[nodiscard]] Result<HttpAnswer> post_form(std::string_view url, const HttpHeaders& values, const HttpHeaders& headers = {}) const;
  /// Any other content type, for example application/ocsp-request.
  [[nodiscard]] Result<HttpAnswer> post(std::string_view url, std::string_view content_type, std::string_view body,
                                        const HttpHeaders& headers = {}) const;

 private:
  struct State;
  explicit HttpClient(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

}  // namespace intaglio::outbound
