#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "base/bytes.h"
#include "json/json.h"

namespace intaglio::crypto::detail {

inline constexpr std::size_t max_compact_size = 64 * 1024;

/// The parts of a compact serialisation (RFC 7515, 7.1; RFC 7516, 7.1), as views into it. Refused when their number differs
/// or the whole is larger than 64 KiB.
template <std::size_t Parts>
Result<std::array<std::string_view, Parts>> split_compact(std::string_view compact) {
  if (compact.size() > max_compact_size) return Error{ErrorCode::invalid_request, "a token of more than 64 KiB"};
  std::array<std::string_view, Parts> parts;
  for (std::size_t i = 0; i < Parts; ++i) {
    const std::size_t end = compact.find('.');
    const bool last = i + 1 == Parts;
    if (last != (end == std::string_view::npos)) return Error{ErrorCode::invalid_request, "a token of another number of parts"};
    parts[i] = compact.substr(0, end);
    if (!last) compact.remove_prefix(end + 1);
  }
  return parts;
}

/// The JOSE header of a part: a JSON object of at most 4 KiB, none of whose members is outside `allowed`. That refuses crit,
/// zip, b64, jwk, jku, x5u and whatever comes next, by one rule.
[[nodiscard]] Result<json::Value> parse_header(std::string_view part, std::initializer_list<std::string_view> allowed);

/// The uncompressed point that a public P-256 JWK names (RFC 7518, 6.2.1), not yet known to be on the curve.
[[nodiscard]] Result<Bytes> jwk_point(const json::Value& jwk);

}  // namespace intaglio::crypto::detail
