#include "registration/certificate_list.h"

namespace intaglio::registration {
namespace {

constexpr std::size_t max_certificate_bytes = 64 * 1024;

}  // namespace

Bytes encode_certificates(const std::vector<Bytes>& certificates) {
  Bytes encoded;
  append_field(encoded, std::uint64_t{certificates.size()});
  for (const auto& der : certificates) append_field(encoded, ByteView(der));
  return encoded;
}

Result<std::vector<Bytes>> parse_certificates(ByteView encoded) {
  std::vector<Bytes> certificates;
  if (encoded.empty()) return certificates;
  FieldReader reader(encoded);
  const auto count = reader.number();
  if (!count) return count.error();
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto der = reader.bytes(max_certificate_bytes);
    if (!der) return der.error();
    certificates.push_back(std::move(*der));
  }
  if (auto end = reader.end(); !end) return end.error();
  return certificates;
}

}  // namespace intaglio::registration
