#include "base/bytes.h"

#include <array>

namespace intaglio {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view base64url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view base32_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

Error malformed(std::string_view what) { return {ErrorCode::invalid_request, "malformed " + std::string(what)}; }

template <unsigned bits>
std::string encode_with(std::string_view alphabet, ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() * 8 + bits - 1) / bits + 3);
  std::uint32_t buffer = 0;
  unsigned held = 0;
  for (const auto byte : bytes) {
    buffer = (buffer << 8U) | byte;
    held += 8;
    while (held >= bits) {
      held -= bits;
      out.push_back(alphabet[(buffer >> held) & ((1U << bits) - 1)]);
    }
    buffer &= (1U << held) - 1;
  }
  if (held > 0) out.push_back(alphabet[(buffer << (bits - held)) & ((1U << bits) - 1)]);
  return out;
}

constexpr std::uint8_t no_digit = 0xff;

constexpr std::array<std::uint8_t, 256> digits_of(std::string_view alphabet, bool fold_case) {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    const char c = alphabet[i];
    digits[static_cast<unsigned char>(c)] = static_cast<std::uint8_t>(i);
    if (fold_case && c >= 'A' && c <= 'Z') digits[static_cast<unsigned char>(c - 'A' + 'a')] = static_cast<std::uint8_t>(i);
  }
  return digits;
}

template <unsigned bits>
Result<Bytes> parse_with(const std::array<std::uint8_t, 256>& digits, std::string_view text, std::string_view what) {
  Bytes out;
  out.reserve(text.size() * bits / 8);
  std::uint32_t buffer = 0;
  unsigned held = 0;
  for (const char c : text) {
    const auto digit = digits[static_cast<unsigned char>(c)];
    if (digit == no_digit) return malformed(what);
    buffer = (buffer << bits) | digit;
    held += bits;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<std::uint8_t>(buffer >> held));
      buffer &= (1U << held) - 1;
    }
  }
  // Fewer bits left than one digit, all zero: otherwise two texts would mean the same bytes.
  if (held >= bits || buffer != 0) return malformed(what);
  return out;
}

}  // namespace

ByteView as_bytes(std::string_view text) noexcept { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
std::string_view as_text(ByteView bytes) noexcept { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Bytes to_bytes(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
Bytes to_bytes(std::string_view text) { return to_bytes(as_bytes(text)); }
void append(Bytes& out, ByteView more) { out.insert(out.end(), more.begin(), more.end()); }

std::string encode_hex(ByteView bytes) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    out.push_back(hex[byte >> 4U]);
    out.push_back(hex[byte & 0x0fU]);
  }
  return out;
}

Result<Bytes> parse_hex(std::string_view text) {
  static constexpr auto digits = digits_of("0123456789ABCDEF", /*fold_case=*/true);
  if (text.size() % 2 != 0) return malformed("hex text");
  return parse_with<4>(digits, text, "hex text");
}

std::string encode_base64(ByteView bytes) {
  auto out = encode_with<6>(base64_alphabet, bytes);
  while (out.size() % 4 != 0) out.push_back('=');
  return out;
}

Result<Bytes> parse_base64(std::string_view text) {
  static constexpr auto digits = digits_of(base64_alphabet, /*fold_case=*/false);
  if (text.size() % 4 != 0) return malformed("base64 text");
  for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding) text.remove_suffix(1);
  return parse_with<6>(digits, text, "base64 text");
}

std::string encode_base64url(ByteView bytes) { return encode_with<6>(base64url_alphabet, bytes); }

Result<Bytes> parse_base64url(std::string_view text) {
  static constexpr auto digits = digits_of(base64url_alphabet, /*fold_case=*/false);
  return parse_with<6>(digits, text, "base64url text");
}

std::string encode_base32(ByteView bytes) { return encode_with<5>(base32_alphabet, bytes); }

Result<Bytes> parse_base32(std::string_view text) {
  static constexpr auto digits = digits_of(base32_alphabet, /*fold_case=*/true);
  return parse_with<5>(digits, text, "base32 text");
}

void append_field(Bytes& out, ByteView field) {
  if (field.size() > 0xffffffffULL) panic("a canonical field of 4 GiB or more");
  for (unsigned shift = 32; shift > 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(field.size() >> (shift - 8)));
  append(out, field);
}
void append_field(Bytes& out, std::string_view field) { append_field(out, as_bytes(field)); }
void append_field(Bytes& out, std::uint64_t number) {
  std::array<std::uint8_t, 8> wide{};
  for (unsigned i = 0; i < 8; ++i) wide[i] = static_cast<std::uint8_t>(number >> (8 * (7 - i)));
  append_field(out, ByteView(wide));
}

Result<ByteView> FieldReader::next(std::size_t max_length) {
  if (rest_.size() < 4) return malformed("field: length cut off");
  const std::size_t length = (std::size_t{rest_[0]} << 24U) | (std::size_t{rest_[1]} << 16U) | (std::size_t{rest_[2]} << 8U) | rest_[3];
  if (length > max_length) return malformed("field: too long");
  if (rest_.size() - 4 < length) return malformed("field: content cut off");
  const auto field = rest_.subspan(4, length);
  rest_ = rest_.subspan(4 + length);
  return field;
}

Result<Bytes> FieldReader::bytes(std::size_t max_length) {
  const auto field = next(max_length);
  if (!field) return field.error();
  return to_bytes(*field);
}

Result<std::string> FieldReader::text(std::size_t max_length) {
  const auto field = next(max_length);
  if (!field) return field.error();
  return std::string(as_text(*field));
}

Result<std::uint64_t> FieldReader::number() {
  const auto field = next(8);
  if (!field) return field.error();
  if (field->size() != 8) return malformed("field: a number has 8 bytes");
  std::uint64_t value = 0;
  for (const auto byte : *field) value = (value << 8U) | byte;
  return value;
}

Status FieldReader::end() const {
  if (!rest_.empty()) return malformed("fields: bytes left over");
  return {};
}

}  // namespace intaglio
