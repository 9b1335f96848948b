#pragma once

#include <chrono>

#include "base/check.h"

namespace intaglio::token::detail {

/// What the token is made to do, for tests of TC-4 and TC-5.
enum class Fault {
  none,
  wrong_signature,
  doubtful,
  definite,
  session_lost,
  slow,
  wrong_service_signature,
  unwell,
  lacks_rsa,
  wrapping_step
};
struct InjectedFault {
  Fault fault = Fault::none;
  std::chrono::milliseconds delay{0};
  unsigned step = 0;  ///< of wrapping_step; 0 is every C_UnwrapKey
};

#ifdef INTAGLIO_TESTING
/// INTAGLIO_TOKEN_FAULT, read at every call: wrong-signature | doubtful | definite | session-lost | slow:<ms> for signers' keys,
/// wrong-service-signature for service keys, unwell for the known-answer check, lacks-rsa for what the token offers;
/// wrapping-step:N, for which the N-th call of an operation of wrapped custody is made and its answer lost, or with 0 each C_UnwrapKey; or @FILE, a file that holds one of them and
/// may change while the process runs: without the file there is no fault.
[[nodiscard]] InjectedFault injected_fault();
#else
[[nodiscard]] constexpr InjectedFault injected_fault() noexcept { return {}; }
#endif

}  // namespace intaglio::token::detail
