#include "crypto/detail/compact.h"

#include <algorithm>

#include "base/check.h"

namespace intaglio::crypto::detail {
namespace {

constexpr std::size_t max_header_size = 4096, max_header_depth = 3, max_header_members = 32, coordinate_size = 32;

}  // namespace

Result<json::Value> parse_header(std::string_view part, std::initializer_list<std::string_view> allowed) {
  const auto text = parse_base64url(part);
  if (!text) return text.error();
  auto header = json::parse(as_text(*text), {max_header_size, max_header_depth, max_header_members});
  if (!header) return Error{ErrorCode::invalid_request, "header: " + header.error().detail};
  if (!header->is_object()) return Error{ErrorCode::invalid_request, "a header that is not an object"};
  for (const auto& [name, value] : header->items()) {
    const bool known = std::find(allowed.begin(), allowed.end(), name) != allowed.end();
    if (refused_by("jose.header_members", !known)) {
      return Error{ErrorCode::invalid_request, "a header with a member that is not served: " + name.substr(0, 64)};
    }
  }
  return header;
}

Result<Bytes> jwk_point(const json::Value& jwk) {
  if (refused_by("jwk.private", jwk.contains("d"))) return Error{ErrorCode::invalid_request, "a private key where a public one belongs"};
  const auto kty = json::text_member(jwk, "kty", 16);
  const auto crv = json::text_member(jwk, "crv", 16);
  if (!kty || !crv || *kty != "EC" || *crv != "P-256") return Error{ErrorCode::invalid_request, "not a P-256 key"};
  const auto x = json::base64url_member(jwk, "x", coordinate_size);
  if (!x) return x.error();
  const auto y = json::base64url_member(jwk, "y", coordinate_size);
  if (!y) return y.error();
  if (x->size() != coordinate_size || y->size() != coordinate_size) {
    return Error{ErrorCode::invalid_request, "a coordinate of another length (RFC 7518, 6.2.1.2)"};
  }
  Bytes point{0x04};
  append(point, *x);
  append(point, *y);
  return point;
}

}  // namespace intaglio::crypto::detail
