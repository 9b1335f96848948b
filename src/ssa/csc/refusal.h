#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/server.h"
#include "json/json.h"

namespace intaglio::ssa::csc {

/// An error answer of the CSC API: `{"error": …, "error_description": …}` (CSC API v2, 10.1).
struct Refusal {
  unsigned status;
  std::string error;
  std::string description;
};

/// 400 invalid_request with this text.
[[nodiscard]] Refusal invalid_request(std::string_view description);
[[nodiscard]] Refusal missing_text(std::string_view parameter);  ///< Missing (or invalid type) string parameter …
[[nodiscard]] Refusal invalid_parameter(std::string_view parameter);
/// The one table from refusals of the SAM, and of our own early checks, to CSC's words.
[[nodiscard]] Refusal refusal_of(const Error& error);
[[nodiscard]] http::Response answer(const Refusal& refusal);
/// refusal_of, and a line in the log with the detail that the caller does not get.
[[nodiscard]] http::Response refuse(const http::Request& request, const Error& error);

/// A good answer that holds a secret: not to be cached, and its texts wiped here.
[[nodiscard]] http::Response uncached(json::Value body, unsigned status = 200);

}  // namespace intaglio::ssa::csc
