#include "token/detail/attributes.h"

#include <algorithm>
#include <cstring>

namespace intaglio::token::detail {
namespace {

template <typename Value>
ByteView view_of(const Value& value) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

}  // namespace

Template& Template::flag(CK_ATTRIBUTE_TYPE type, bool value) {
  const CK_BBOOL stated = value ? CK_TRUE : CK_FALSE;
  return bytes(type, view_of(stated));
}

Template& Template::number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) { return bytes(type, view_of(value)); }

Template& Template::bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
  auto& kept = values_.emplace_back(value.begin(), value.end());
  list_.push_back({type, kept.data(), static_cast<CK_ULONG>(kept.size())});
  return *this;
}

Template& Template::mechanisms(CK_ATTRIBUTE_TYPE type, const std::vector<CK_MECHANISM_TYPE>& values) {
  return bytes(type, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(CK_MECHANISM_TYPE)});
}

Template& Template::drop(CK_ATTRIBUTE_TYPE type) {
  std::erase_if(list_, [&](const CK_ATTRIBUTE& attribute) { return attribute.type == type; });
  return *this;
}

CK_RV read_into(const ObjectView& view, CK_ATTRIBUTE_TYPE type, std::span<std::uint8_t> value, CK_ULONG& length) {
  CK_ATTRIBUTE attribute{type, value.empty() ? nullptr : value.data(), static_cast<CK_ULONG>(value.size())};
  const auto result = view.counters.record(Function::get_attribute_value, view.kind,
                                           view.functions.C_GetAttributeValue(view.session, view.object, &attribute, 1));
  length = attribute.ulValueLen;
  return result;
}

Result<Bytes> read_bytes(const ObjectView& view, CK_ATTRIBUTE_TYPE type) {
  CK_ULONG length = 0;
  auto result = read_into(view, type, {}, length);
  if (result == CKR_OK && length <= 65536) {
    Bytes value(length);
    if (length != 0) result = read_into(view, type, value, length);
    if (result == CKR_OK && length <= value.size()) {
      value.resize(length);
      return value;
    }
  }
  auto error = error_of("C_GetAttributeValue", result);
  if (result == CKR_ATTRIBUTE_TYPE_INVALID || result == CKR_OK) error.code = ErrorCode::unsupported;
  return error;
}

std::optional<bool> read_flag(const ObjectView& view, CK_ATTRIBUTE_TYPE type) {
  std::uint8_t value = 0;
  CK_ULONG length = 0;
  if (read_into(view, type, {&value, 1}, length) != CKR_OK || length != 1) return std::nullopt;
  return value != CK_FALSE;
}

std::optional<CK_ULONG> read_number(const ObjectView& view, CK_ATTRIBUTE_TYPE type) {
  std::array<std::uint8_t, sizeof(CK_ULONG)> value{};
  CK_ULONG length = 0;
  if (read_into(view, type, value, length) != CKR_OK || length != value.size()) return std::nullopt;
  CK_ULONG number = 0;
  std::memcpy(&number, value.data(), value.size());
  return number;
}

}  // namespace intaglio::token::detail
