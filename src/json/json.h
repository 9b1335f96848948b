#pragma once

#include <nlohmann/json.hpp>

#include "base/bytes.h"

namespace intaglio::json {

using Value = nlohmann::json;

/// What a reader allows. JSON of a stranger is refused beyond it, and for duplicate members, invalid UTF-8, NaN,
/// trailing bytes; the error says where.
struct Bounds {
  std::size_t max_bytes = 64 * 1024;
  std::size_t max_depth = 32;
  std::size_t max_members = 4096;  ///< members and elements in all
};

[[nodiscard]] Result<Value> parse(std::string_view text, const Bounds& bounds = {});
/// Deterministic: members sorted by name, no white space.
[[nodiscard]] std::string encode(const Value& value);

/// Overwrites every text in the value, member names apart.
void wipe(Value& value) noexcept;
/// Wipes the texts of what it refers to when the scope ends, on every path: for documents that hold secrets.
class WipeAtExit {
 public:
  explicit WipeAtExit(Value& value) noexcept : value_(value) {}
  ~WipeAtExit() { wipe(value_); }
  WipeAtExit(const WipeAtExit&) = delete;
  WipeAtExit& operator=(const WipeAtExit&) = delete;

 private:
  Value& value_;
};

/// Members of an object, read with the name in every refusal ("Missing (or invalid type) string parameter x" is the CSC
/// room's business: here the detail names the member).
[[nodiscard]] Result<std::string> text_member(const Value& object, std::string_view name, std::size_t max_length = 4096);
[[nodiscard]] Result<std::int64_t> integer_member(const Value& object, std::string_view name);
[[nodiscard]] Result<Bytes> base64url_member(const Value& object, std::string_view name, std::size_t max_bytes = 65536);
/// The member, or nullptr when it is absent or null.
[[nodiscard]] const Value* member(const Value& object, std::string_view name);

}  // namespace intaglio::json
