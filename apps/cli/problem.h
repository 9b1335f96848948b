#pragma once

#include <string_view>

#include "base/error.h"
#include "base/result.h"

namespace intaglio::cli {

/// A refusal with what the person can do about it; both are shown.
[[nodiscard]] Error problem(ErrorCode code, std::string_view what, std::string_view next);
/// The refusal of a room below, with what was being done and what to do next.
[[nodiscard]] Error because(const Error& error, std::string_view doing, std::string_view next = "");

/// Prints the refusal on standard error; adds the general advice for its code when it carries none. Gives the exit status.
int report(const Error& error);

}  // namespace intaglio::cli
