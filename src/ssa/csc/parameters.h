#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "http/server.h"
#include "json/json.h"
#include "ssa/csc/refusal.h"

namespace intaglio::ssa::csc {

/// How a signature goes back to its application (CSC API v2, 11.10): in the answer, or kept for signPolling.
struct Delivery {
  bool asynchronous = false;
  std::chrono::milliseconds validity{0};  ///< how long an answer is kept
};

/// The members of a request body, read one after the other in the order of the CSC tables: the first refusal stands, later
/// reads give empty values. Absent and null are the same; unknown members are ignored (csc-api 2).
class Parameters {
 public:
  /// An empty body is an empty object. Refused: another content type than JSON, no object, or beyond the bounds of the reader.
  [[nodiscard]] static Parameters of(const http::Request& request);
  /// The body may hold a SAD: its texts are wiped.
  ~Parameters() { json::wipe(object_); }
  Parameters(Parameters&&) noexcept = default;
  Parameters& operator=(Parameters&&) = delete;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  [[nodiscard]] std::string required_text(std::string_view name);
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view name);  ///< wrong type: "Invalid parameter name"
  [[nodiscard]] bool flag(std::string_view name);  ///< default false; "true" and "false" as text too
  /// Decoded digests of the array `name`; the texts of signHash say `hash`, whatever the member is called (CSC API v2, 11.10). At
  /// least one, at most `most`. A text too short for any digest is a wrong length before it is a wrong encoding.
  [[nodiscard]] std::vector<Bytes> digests(std::string_view name, std::size_t most, std::string_view called = "hash");
  /// operationMode, with validity_period and response_uri, which are ignored unless the mode is `A` (CSC API v2, 11.10). An address for
  /// the answer is refused: none is registered.
  [[nodiscard]] Delivery delivery();
  void client_data();  ///< must be a text when it is there
  [[nodiscard]] const json::Value* member(std::string_view name) const;

  void refuse(Refusal refusal);
  [[nodiscard]] const std::optional<Refusal>& refusal() const noexcept { return refusal_; }

 private:
  Parameters() = default;
  json::Value object_ = json::Value::object();
  std::optional<Refusal> refusal_;
};

/// One digest in base64, or why not, as the CSC texts have it.
[[nodiscard]] std::variant<Bytes, Refusal> parse_digest(std::string_view text);

}  // namespace intaglio::ssa::csc
