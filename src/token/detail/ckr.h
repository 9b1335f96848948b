#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.h"
#include "token/detail/cryptoki.h"

namespace intaglio::token::detail {

/// What a result means for us. `refused`: the token works and says no. `session_lost`: this session, or its login, is of no
/// more use. `device_lost`: the slot, the token or the module. `general`: the token does not say; the step decides.
enum class CkrClass { ok, refused, session_lost, device_lost, pin, argument, busy, tamper, general };

struct CkrInfo {
  CK_RV value;
  std::string_view name;
  CkrClass meaning;
  /// Returned by C_SignInit, it proves that nothing was signed (TC-4). Never said of a code that we do not know.
  bool definite;
};

/// Every code of PKCS#11 v2.40; the last row stands for vendor-defined and unknown codes.
[[nodiscard]] std::span<const CkrInfo> ckr_table() noexcept;
/// The place in the table; CKR_OK is 0.
[[nodiscard]] std::size_t index_of(CK_RV result) noexcept;
[[nodiscard]] const CkrInfo& describe(CK_RV result) noexcept;
[[nodiscard]] inline CkrClass class_of(CK_RV result) noexcept { return describe(result).meaning; }
/// The refusal of a call: code by class, detail "C_Sign: CKR_DEVICE_ERROR".
[[nodiscard]] Error error_of(std::string_view function, CK_RV result);

}  // namespace intaglio::token::detail
