#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace intaglio {

/// An identifier of one kind: 1 to 64 characters of A-Z a-z 0-9 - _ ; kinds do not convert into each other.
template <typename Kind>
class Id {
 public:
  [[nodiscard]] static Result<Id> parse(std::string_view text);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  auto operator<=>(const Id&) const = default;

 private:
  explicit Id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

namespace detail {
/// Refused (`invalid_request`) unless the text has the form of an identifier.
Status check_id(std::string_view text);
}  // namespace detail

template <typename Kind>
Result<Id<Kind>> Id<Kind>::parse(std::string_view text) {
  if (auto checked = detail::check_id(text); !checked) return checked.error();
  return Id(std::string(text));
}

using SignerId = Id<struct SignerKind>;
using KeyId = Id<struct KeyKind>;         ///< Also the CSC credentialID.
using OperatorId = Id<struct OperatorKind>;
using ClientId = Id<struct ClientKind>;   ///< A signature application (SCA).

}  // namespace intaglio
