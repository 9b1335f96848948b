#include "crypto/der.h"

#include <algorithm>
#include <charconv>

namespace intaglio::crypto::der {
namespace {

constexpr std::uint8_t constructed = 0x20, context_class = 0x80;

void append_length(Bytes& out, std::size_t length) {
  if (length < 0x80) {
    out.push_back(static_cast<std::uint8_t>(length));
    return;
  }
  Bytes octets;
  for (; length > 0; length >>= 8U) octets.insert(octets.begin(), static_cast<std::uint8_t>(length & 0xFFU));
  out.push_back(static_cast<std::uint8_t>(0x80U | octets.size()));
  append(out, octets);
}

void append_base128(Bytes& out, std::uint64_t arc) {
  Bytes octets{static_cast<std::uint8_t>(arc & 0x7FU)};
  for (arc >>= 7U; arc > 0; arc >>= 7U) octets.insert(octets.begin(), static_cast<std::uint8_t>(0x80U | (arc & 0x7FU)));
  append(out, octets);
}

std::string time_text(UnixTime at, bool four_digit_year) {
  std::string text = format_utc(at);
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  return four_digit_year ? text : text.substr(2);
}

}  // namespace

Bytes tagged(std::uint8_t tag, ByteView content) {
  Bytes out{tag};
  out.reserve(content.size() + 6);
  append_length(out, content.size());
  append(out, content);
  return out;
}

Bytes concatenate(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (const auto& part : parts) append(out, part);
  return out;
}

Bytes sequence(std::initializer_list<ByteView> members) { return tagged(0x30, concatenate(members)); }

Bytes sequence(const std::vector<Bytes>& members) {
  Bytes content;
  for (const auto& each : members) append(content, each);
  return tagged(0x30, content);
}

Bytes set_of(std::vector<Bytes> members) {
  // X.690 11.6 compares with the shorter padded by zeros; as no encoding is a prefix of another, the plain order is the same.
  std::sort(members.begin(), members.end());
  Bytes content;
  for (const auto& each : members) append(content, each);
  return tagged(0x31, content);
}

Bytes integer(std::uint64_t value) {
  Bytes octets;
  for (; value > 0; value >>= 8U) octets.insert(octets.begin(), static_cast<std::uint8_t>(value & 0xFFU));
  return integer(octets);
}

Bytes integer(ByteView unsigned_big_endian) {
  while (!unsigned_big_endian.empty() && unsigned_big_endian.front() == 0) unsigned_big_endian = unsigned_big_endian.subspan(1);
  Bytes content;
  if (unsigned_big_endian.empty() || (unsigned_big_endian.front() & 0x80U) != 0) content.push_back(0);
  append(content, unsigned_big_endian);
  return tagged(0x02, content);
}

Bytes oid(std::string_view dotted) {
  std::vector<std::uint64_t> arcs;
  const char* at = dotted.data();
  const char* const end = dotted.data() + dotted.size();
  while (at != end) {
    std::uint64_t arc = 0;
    const auto read = std::from_chars(at, end, arc);
    if (read.ec != std::errc{} || (read.ptr != end && *read.ptr != '.')) panic("an object identifier that is not one");
    arcs.push_back(arc);
    at = read.ptr == end ? end : read.ptr + 1;
  }
  if (arcs.size() < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39)) panic("an object identifier that is not one");
  Bytes content;
  append_base128(content, arcs[0] * 40 + arcs[1]);
  for (std::size_t i = 2; i < arcs.size(); ++i) append_base128(content, arcs[i]);
  return tagged(0x06, content);
}

Bytes octet_string(ByteView content) { return tagged(0x04, content); }

Bytes bit_string(ByteView content, unsigned unused_bits) {
  Bytes octets{static_cast<std::uint8_t>(unused_bits)};
  append(octets, content);
  return tagged(0x03, octets);
}

Bytes boolean(bool value) { return {0x01, 0x01, static_cast<std::uint8_t>(value ? 0xFF : 0x00)}; }
Bytes null() { return {0x05, 0x00}; }
Bytes utf8(std::string_view text) { return tagged(0x0C, as_bytes(text)); }
Bytes printable(std::string_view text) { return tagged(0x13, as_bytes(text)); }
Bytes ia5(std::string_view text) { return tagged(0x16, as_bytes(text)); }
Bytes enumerated(std::uint8_t value) { return tagged(0x0A, value < 0x80 ? Bytes{value} : Bytes{0, value}); }

Bytes time(UnixTime at) {
  static const UnixTime end_of_utc_time = from_unix_seconds(2524608000);  // 2050-01-01T00:00:00Z
  return at < end_of_utc_time ? tagged(0x17, as_bytes(time_text(at, false))) : generalized_time(at);
}

Bytes generalized_time(UnixTime at) { return tagged(0x18, as_bytes(time_text(at, true))); }

Bytes explicit_tag(unsigned number, ByteView content) {
  if (number > 30) panic("a tag number that needs more than one octet");
  return tagged(static_cast<std::uint8_t>(context_class | constructed | number), content);
}

Bytes implicit_tag(unsigned number, ByteView whole_element) {
  if (number > 30 || whole_element.empty()) panic("an implicit tag over nothing, or of more than one octet");
  Bytes out = to_bytes(whole_element);
  out[0] = static_cast<std::uint8_t>(context_class | (out[0] & constructed) | number);
  return out;
}

}  // namespace intaglio::crypto::der
