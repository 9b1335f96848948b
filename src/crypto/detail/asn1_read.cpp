#include "crypto/detail/asn1_read.h"

#include <openssl/bn.h>
#include <openssl/objects.h>

#include <ctime>

#include "crypto/detail/openssl.h"

namespace intaglio::crypto::detail {

namespace {
using TypePointer = std::unique_ptr<ASN1_TYPE, Freed<ASN1_TYPE_free>>;

Result<TypePointer> read_element(ByteView der) {
  const unsigned char* at = der.data();
  TypePointer element(der.empty() ? nullptr : d2i_ASN1_TYPE(nullptr, &at, int_size(der.size())));
  if (!element || at != der.data() + der.size()) return refusal(ErrorCode::invalid_request, "an ASN.1 element does not parse");
  return element;
}
}  // namespace

Result<UnixTime> read_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return refusal(ErrorCode::invalid_request, "a time does not parse");
  using namespace std::chrono;
  const year_month_day day{year{parts.tm_year + 1900}, month{static_cast<unsigned>(parts.tm_mon + 1)},
                           std::chrono::day{static_cast<unsigned>(parts.tm_mday)}};
  return sys_days(day) + hours(parts.tm_hour) + minutes(parts.tm_min) + seconds(parts.tm_sec);
}

std::string read_oid(const ASN1_OBJECT* object) {
  std::array<char, 128> text{};
  const int length = OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  if (length <= 0 || static_cast<std::size_t>(length) >= text.size()) return {};
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string read_text(const ASN1_STRING* text) {
  unsigned char* utf8 = nullptr;
  const int length = ASN1_STRING_to_UTF8(&utf8, text);
  if (length < 0) return {};
  std::string out(as_text({utf8, static_cast<std::size_t>(length)}));
  OPENSSL_free(utf8);
  return out;
}

Bytes read_string(const ASN1_STRING* text) {
  const int length = ASN1_STRING_length(text);
  const unsigned char* data = ASN1_STRING_get0_data(text);
  if (length <= 0 || data == nullptr) return {};
  return {data, data + length};
}

std::string read_serial(const ASN1_INTEGER* serial) {
  Bytes magnitude = read_string(serial);
  while (magnitude.size() > 1 && magnitude.front() == 0) magnitude.erase(magnitude.begin());
  if (magnitude.empty()) magnitude.push_back(0);
  return (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? "-" : "") + encode_hex(magnitude);
}

Result<std::vector<Bytes>> read_sequence(ByteView der) {
  const unsigned char* at = der.data();
  ASN1_SEQUENCE_ANY* raw = der.empty() ? nullptr : d2i_ASN1_SEQUENCE_ANY(nullptr, &at, int_size(der.size()));
  if (raw == nullptr) return refusal(ErrorCode::invalid_request, "a SEQUENCE does not parse");
  const auto free_all = [](ASN1_SEQUENCE_ANY* items) { sk_ASN1_TYPE_pop_free(items, ASN1_TYPE_free); };
  const std::unique_ptr<ASN1_SEQUENCE_ANY, decltype(free_all)> owner(raw, free_all);
  if (at != der.data() + der.size()) return Error{ErrorCode::invalid_request, "bytes after a SEQUENCE"};
  std::vector<Bytes> members;
  for (int index = 0; index < sk_ASN1_TYPE_num(raw); ++index) members.push_back(encode_with(sk_ASN1_TYPE_value(raw, index), i2d_ASN1_TYPE));
  return members;
}

Result<std::string> read_oid_element(ByteView der) {
  auto element = read_element(der);
  if (!element) return element.error();
  if (ASN1_TYPE_get(element->get()) != V_ASN1_OBJECT) return Error{ErrorCode::invalid_request, "an OBJECT IDENTIFIER was expected"};
  return read_oid((*element)->value.object);
}

Result<std::string> read_string_element(ByteView der, int tag) {
  auto element = read_element(der);
  if (!element) return element.error();
  if (ASN1_TYPE_get(element->get()) != tag) return Error{ErrorCode::invalid_request, "another string type was expected"};
  return std::string(as_text(read_string((*element)->value.asn1_string)));
}

Result<std::uint64_t> read_integer_element(ByteView der) {
  auto element = read_element(der);
  if (!element) return element.error();
  std::uint64_t value = 0;
  if (ASN1_TYPE_get(element->get()) != V_ASN1_INTEGER || ASN1_INTEGER_get_uint64(&value, (*element)->value.integer) != 1) {
    return refusal(ErrorCode::invalid_request, "an unsigned INTEGER was expected");
  }
  return value;
}

}  // namespace intaglio::crypto::detail
