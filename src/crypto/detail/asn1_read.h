#pragma once

#include <openssl/asn1.h>
#include <openssl/x509.h>

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

/// Small readers over OpenSSL's ASN.1 types, for what it does not decode into a structure of its own.
namespace intaglio::crypto::detail {

[[nodiscard]] Result<UnixTime> read_time(const ASN1_TIME* time);
[[nodiscard]] std::string read_oid(const ASN1_OBJECT* object);  ///< dotted
[[nodiscard]] std::string read_text(const ASN1_STRING* text);   ///< UTF-8; empty when it cannot be
[[nodiscard]] Bytes read_string(const ASN1_STRING* text);       ///< the content as it stands
/// Magnitude in lower-case hexadecimal, without leading zeros, an even number of digits; with '-' when negative.
[[nodiscard]] std::string read_serial(const ASN1_INTEGER* serial);
/// The members of a SEQUENCE, each with its own header. Refused: anything else, or trailing bytes.
[[nodiscard]] Result<std::vector<Bytes>> read_sequence(ByteView der);
[[nodiscard]] Result<std::string> read_oid_element(ByteView der);
/// A string element of this universal tag.
[[nodiscard]] Result<std::string> read_string_element(ByteView der, int tag);
[[nodiscard]] Result<std::uint64_t> read_integer_element(ByteView der);
/// The DER of anything that has an i2d function.
template <typename T, typename Encoder>
[[nodiscard]] Bytes encode_with(const T* object, Encoder encoder) {
  const int length = encoder(object, nullptr);
  if (length <= 0) return {};
  Bytes out(static_cast<std::size_t>(length));
  unsigned char* end = out.data();
  encoder(object, &end);
  return out;
}

}  // namespace intaglio::crypto::detail
