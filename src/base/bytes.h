#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace intaglio {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// The bytes of a text, not copied.
[[nodiscard]] ByteView as_bytes(std::string_view text) noexcept;
[[nodiscard]] std::string_view as_text(ByteView bytes) noexcept;
[[nodiscard]] Bytes to_bytes(ByteView bytes);
[[nodiscard]] Bytes to_bytes(std::string_view text);
/// Appends to the end of `out`.
void append(Bytes& out, ByteView more);

[[nodiscard]] std::string encode_hex(ByteView bytes);
/// Lower or upper case, even length; refused otherwise (`invalid_request`).
[[nodiscard]] Result<Bytes> parse_hex(std::string_view text);

/// RFC 4648 section 4, padded, without line breaks.
[[nodiscard]] std::string encode_base64(ByteView bytes);
/// Canonical only: padding present, unused bits zero, no white space; refused otherwise.
[[nodiscard]] Result<Bytes> parse_base64(std::string_view text);

/// RFC 4648 section 5 without padding, as JOSE writes it (RFC 7515 section 2).
[[nodiscard]] std::string encode_base64url(ByteView bytes);
/// Canonical only: no padding, unused bits zero; refused otherwise.
[[nodiscard]] Result<Bytes> parse_base64url(std::string_view text);

/// RFC 4648 section 6 without padding: TOTP seeds and activation codes.
[[nodiscard]] std::string encode_base32(ByteView bytes);
/// Upper or lower case, no padding; unused bits zero; refused otherwise.
[[nodiscard]] Result<Bytes> parse_base32(std::string_view text);

/// A field of a canonical encoding: its length as 4 bytes, big-endian, then its bytes.
void append_field(Bytes& out, ByteView field);
void append_field(Bytes& out, std::string_view field);
/// An unsigned number as a field of 8 bytes, big-endian.
void append_field(Bytes& out, std::uint64_t number);

/// Reads what append_field wrote; every read is bounded by the input, nothing is copied but what is returned.
class FieldReader {
 public:
  explicit FieldReader(ByteView input) noexcept : rest_(input) {}
  [[nodiscard]] Result<Bytes> bytes(std::size_t max_length);
  [[nodiscard]] Result<std::string> text(std::size_t max_length);
  [[nodiscard]] Result<std::uint64_t> number();
  /// Refused when input is left over: an encoding has exactly one meaning.
  [[nodiscard]] Status end() const;

 private:
  [[nodiscard]] Result<ByteView> next(std::size_t max_length);
  ByteView rest_;
};

}  // namespace intaglio
