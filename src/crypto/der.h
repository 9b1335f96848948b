#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

/// Writes DER (X.690), for the structures that we sign with keys in a token and that OpenSSL can therefore not assemble
/// itself. Write only: whatever is read is parsed by OpenSSL, and each structure is parsed back before it leaves.
namespace intaglio::crypto::der {

[[nodiscard]] Bytes tagged(std::uint8_t tag, ByteView content);            ///< identifier octet as given
[[nodiscard]] Bytes sequence(std::initializer_list<ByteView> members);
[[nodiscard]] Bytes sequence(const std::vector<Bytes>& members);
[[nodiscard]] Bytes set_of(std::vector<Bytes> members);                    ///< sorted, X.690 11.6
[[nodiscard]] Bytes integer(std::uint64_t value);
[[nodiscard]] Bytes integer(ByteView unsigned_big_endian);
[[nodiscard]] Bytes oid(std::string_view dotted);
[[nodiscard]] Bytes octet_string(ByteView content);
[[nodiscard]] Bytes bit_string(ByteView content, unsigned unused_bits = 0);
[[nodiscard]] Bytes boolean(bool value);
[[nodiscard]] Bytes null();
[[nodiscard]] Bytes utf8(std::string_view text);
[[nodiscard]] Bytes printable(std::string_view text);
[[nodiscard]] Bytes ia5(std::string_view text);
[[nodiscard]] Bytes enumerated(std::uint8_t value);
[[nodiscard]] Bytes time(UnixTime at);             ///< UTCTime until 2049, then GeneralizedTime (RFC 5280, 4.1.2.5)
[[nodiscard]] Bytes generalized_time(UnixTime at);
[[nodiscard]] Bytes explicit_tag(unsigned number, ByteView content);  ///< [n] EXPLICIT, constructed
[[nodiscard]] Bytes implicit_tag(unsigned number,
                                 ByteView whole_element);   ///< [n] IMPLICIT: replaces the element's identifier, keeps constructed bit
[[nodiscard]] Bytes concatenate(std::initializer_list<ByteView> parts);

}  // namespace intaglio::crypto::der
