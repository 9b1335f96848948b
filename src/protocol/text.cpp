#include "protocol/text.h"

#include <string>

namespace intaglio::protocol {
namespace {

constexpr char32_t malformed = 0xffffffff;

/// Takes one code point from the front of `text`; `malformed` for anything that RFC 3629 does not allow.
char32_t take_code_point(std::string_view& text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = octet(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return malformed;
  char32_t point = length == 1 ? first : first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xc0U) != 0x80) return malformed;
    point = (point << 6U) | (octet(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  if (overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return malformed;
  text.remove_prefix(length);
  return point;
}

bool misleads(char32_t point) {
  const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029;
  const bool direction =
      point == 0x061c || point == 0x200e || point == 0x200f || (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
  return control || direction;
}

}  // namespace

Status check_text(std::string_view text, std::size_t max_bytes, std::string_view what) {
  if (text.size() > max_bytes) return Error{ErrorCode::invalid_request, std::string(what) + ": too long"};
  while (!text.empty()) {
    const char32_t point = take_code_point(text);
    if (point == malformed) return Error{ErrorCode::invalid_request, std::string(what) + ": not UTF-8"};
    if (misleads(point)) return Error{ErrorCode::invalid_request, std::string(what) + ": control or direction character"};
  }
  return {};
}

}  // namespace intaglio::protocol
