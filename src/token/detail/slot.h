#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "token/detail/call_counters.h"
#include "token/detail/cryptoki.h"

namespace intaglio::token::detail {

/// A slot whose token carries a label, as it was before any login (SoftHSM does not tell it later from a read-only folder).
struct Slot {
  CK_SLOT_ID id;
  CK_TOKEN_INFO token;
};

/// The one initialised token with this label: not_found when there is none, conflict when there are more.
[[nodiscard]] Result<Slot> find_slot(const CK_FUNCTION_LIST& functions, CallCounters& counters, std::string_view label);
/// A slot whose token is not initialised yet.
[[nodiscard]] Result<CK_SLOT_ID> find_free_slot(const CK_FUNCTION_LIST& functions, CallCounters& counters);
/// Refused when the PIN is locked or one try away from it: that try is left to a person who can look at the PIN.
[[nodiscard]] Status check_pin_tries(CK_FLAGS flags);
/// The text of a field that PKCS#11 pads with blanks.
[[nodiscard]] std::string_view padded_text(const CK_UTF8CHAR* field, std::size_t size) noexcept;
/// "manufacturer model, firmware 2.6, serial …"
[[nodiscard]] std::string describe_token(const CK_TOKEN_INFO& token);

}  // namespace intaglio::token::detail
