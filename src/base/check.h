#pragma once

#include <string_view>

/// Named checks and fault points.
///
/// Every security check of the trust core is written `if (refused_by("sad.expired", now >= record.expires)) return Error{…};`.
/// In a release build that is the condition and nothing more: the name costs nothing and does not stand in the binary. In
/// the test flavour INTAGLIO_DISABLED_CHECK names one check that then never refuses, so that tools/ci/mutation can prove
/// that a test fails without it.
namespace intaglio {

#ifdef INTAGLIO_TESTING
inline constexpr bool testing_build = true;
[[nodiscard]] bool check_disabled(std::string_view name) noexcept;
/// Ends the process as kill -9 would when INTAGLIO_FAULT names this point (`name` or `name:N` for the N-th passage).
void fault_point(std::string_view name) noexcept;
#else
inline constexpr bool testing_build = false;
[[nodiscard]] constexpr bool check_disabled(std::string_view) noexcept { return false; }
constexpr void fault_point(std::string_view) noexcept {}
#endif

/// True when the check of this name refuses.
[[nodiscard]] inline bool refused_by([[maybe_unused]] std::string_view name, bool refusal) noexcept {
  return refusal && !check_disabled(name);
}

}  // namespace intaglio
