#include "sam/sap/device_members.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t name_bytes = 32, signature_bytes = 64, spki_bytes = 91;

/// P-256 and SHA-256 leave no choice of lengths.
Result<Bytes> exact_member(const json::Value& factor, std::string_view name, std::size_t size) {
  auto bytes = json::base64url_member(factor, name, size);
  if (!bytes || bytes->size() != size)
    return Error{ErrorCode::invalid_request,
                 "SAP message: " + std::string(name) + " must be " + std::to_string(size) + " bytes in base64url"};
  return bytes;
}

}  // namespace

Result<evidence::device_key::Answer> parse_device_answer(const json::Value& factor) {
  auto name = exact_member(factor, "id", name_bytes);
  auto signature = exact_member(factor, "signature", signature_bytes);
  if (!name) return name.error();
  if (!signature) return signature.error();
  return evidence::device_key::Answer{.device = std::move(*name), .signature = std::move(*signature)};
}

Result<evidence::device_key::Registration> parse_device_registration(const json::Value& factor) {
  auto spki = exact_member(factor, "key", spki_bytes);
  auto signature = exact_member(factor, "signature", signature_bytes);
  if (!spki) return spki.error();
  if (!signature) return signature.error();
  return evidence::device_key::Registration{.spki = std::move(*spki), .signature = std::move(*signature)};
}

}  // namespace intaglio::sam
