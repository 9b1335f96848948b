#pragma once

#include <chrono>
#include <string>

#include "http/server.h"

namespace intaglio::oauth {

/// An error answer of an OAuth endpoint (RFC 6749, 5.2), in the words of csc-api 4.
struct Refusal {
  unsigned status;
  std::string error;
  std::string description;
  std::chrono::seconds retry_after{0};  ///< with status 429
};

[[nodiscard]] Refusal invalid_request(std::string description);
[[nodiscard]] Refusal invalid_grant(std::string description);
[[nodiscard]] Refusal temporarily_unavailable();
/// RFC 6585, 4.
[[nodiscard]] Refusal too_many_requests(std::chrono::seconds retry_after);

/// `{"error":…,"error_description":…}`, not to be cached; a line in the log under `event`.
[[nodiscard]] http::Response answer(const http::Request& request, std::string_view event, const Refusal& refusal);
/// The body of a success, not to be cached (RFC 6749, 5.1).
[[nodiscard]] http::Response uncached(std::string body, unsigned status = 200);
/// True when the body is application/x-www-form-urlencoded.
[[nodiscard]] bool has_form(const http::Request& request);

}  // namespace intaglio::oauth
