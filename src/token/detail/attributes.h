#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "token/detail/call_counters.h"
#include "token/detail/cryptoki.h"

namespace intaglio::token::detail {

/// A list of attributes that owns its values.
class Template {
 public:
  Template& flag(CK_ATTRIBUTE_TYPE type, bool value);
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  Template& bytes(CK_ATTRIBUTE_TYPE type, ByteView value);
  Template& mechanisms(CK_ATTRIBUTE_TYPE type, const std::vector<CK_MECHANISM_TYPE>& values);
  /// Without the attribute of this type: for tokens that do not know it.
  Template& drop(CK_ATTRIBUTE_TYPE type);
  [[nodiscard]] CK_ATTRIBUTE* data() noexcept { return list_.data(); }
  [[nodiscard]] CK_ULONG size() const noexcept { return static_cast<CK_ULONG>(list_.size()); }

 private:
  std::vector<CK_ATTRIBUTE> list_;
  std::deque<Bytes> values_;
};

/// Where attributes are read: the module, the session and the object, with the kind under which calls are counted.
struct ObjectView {
  const CK_FUNCTION_LIST& functions;
  CallCounters& counters;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE object;
  ObjectKind kind;
};

/// The value of one attribute, at most 64 KiB; `unsupported` when the object has none or hides it.
[[nodiscard]] Result<Bytes> read_bytes(const ObjectView& view, CK_ATTRIBUTE_TYPE type);
/// One C_GetAttributeValue; the result itself matters (a refusal to read is what the probe wants to see).
[[nodiscard]] CK_RV read_into(const ObjectView& view, CK_ATTRIBUTE_TYPE type, std::span<std::uint8_t> value, CK_ULONG& length);
[[nodiscard]] std::optional<bool> read_flag(const ObjectView& view, CK_ATTRIBUTE_TYPE type);
[[nodiscard]] std::optional<CK_ULONG> read_number(const ObjectView& view, CK_ATTRIBUTE_TYPE type);

}  // namespace intaglio::token::detail
