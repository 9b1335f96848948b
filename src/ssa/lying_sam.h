#pragma once

#include <memory>

#include "base/check.h"
#include "protocol/service.h"

namespace intaglio::ssa {

#ifdef INTAGLIO_TESTING
/// Between the SSA and the SAM, the lie that INTAGLIO_LIE names (the list stands in lying_sam.cpp); without it, `sam` itself.
[[nodiscard]] std::shared_ptr<protocol::SamService> perhaps_lying(std::shared_ptr<protocol::SamService> sam);
/// INTAGLIO_SKIP_SSA_CHECKS=1: the early refusals are off, so that a test sees the SAM's own.
[[nodiscard]] bool early_checks_skipped() noexcept;
#else
[[nodiscard]] inline std::shared_ptr<protocol::SamService> perhaps_lying(std::shared_ptr<protocol::SamService> sam) { return sam; }
[[nodiscard]] constexpr bool early_checks_skipped() noexcept { return false; }
#endif

}  // namespace intaglio::ssa
