#pragma once

#include <string>

#include "http/server.h"

namespace intaglio::http {

/// What every answer of a connection says besides its own content.
struct AnswerFrame {
  std::string_view request_id;
  std::string_view date;  ///< IMF-fixdate (RFC 9110, 5.6.7)
  bool tls = true;        ///< adds Strict-Transport-Security
  bool close = false;
  bool head = false;      ///< the body's length without the body
};

/// Header and body as they go out. A handler's header that holds a control character turns the answer into a plain 500.
[[nodiscard]] std::string encode_answer(const Response& response, const AnswerFrame& frame);

/// RFC 9110, 5.6.7: Sun, 06 Nov 1994 08:49:37 GMT.
[[nodiscard]] std::string http_date(std::int64_t unix_seconds);

}  // namespace intaglio::http
