#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.h"

namespace intaglio::http {

struct RequestLimits {
  std::size_t max_header_bytes = 8 * 1024;
  std::size_t max_body_bytes = 64 * 1024;
  std::size_t max_headers = 64;
  bool http_1_0 = false;  ///< also HTTP/1.0, without transfer codings, expectations and further requests
};

/// Reads one request out of bytes as they come (RFC 9112), strictly: HTTP/1.1 unless the limits say more, exactly one Host, no header twice, no transfer
/// coding but chunked and never together with a length, no chunk extensions, no trailers, origin-form targets.
class RequestReader {
 public:
  explicit RequestReader(const RequestLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  enum class State { reading, complete, refused };
  /// May hold back bytes; those behind the end of the request are kept for take_rest.
  State feed(std::string_view bytes);
  /// True once: the header is whole, it asked for 100-continue, and the body is still to come.
  [[nodiscard]] bool wants_continue();

  /// When complete: method, path, query, headers, body.
  [[nodiscard]] Request take_request();
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] std::string take_rest();

  /// When refused: 400, 413, 417, 431, 501 or 505, and why.
  [[nodiscard]] unsigned refusal_status() const;
  [[nodiscard]] std::string_view refusal_reason() const;

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
  std::string pending_;
};

}  // namespace intaglio::http
