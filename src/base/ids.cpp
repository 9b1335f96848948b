#include "base/ids.h"

namespace intaglio::detail {

Status check_id(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  bool fits = !text.empty() && text.size() <= 64;
  for (const char c : text) fits = fits && allowed(c);
  if (!fits) return Error{ErrorCode::invalid_request, "an identifier has 1 to 64 characters of A-Z a-z 0-9 - _"};
  return {};
}

}  // namespace intaglio::detail
