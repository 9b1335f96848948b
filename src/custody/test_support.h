#pragma once

#include <memory>
#include <optional>

#include "token/token.h"

/// For the unit tests of this room: one SoftHSM2 folder for the whole test process.
namespace intaglio::custody::testing {

[[nodiscard]] std::shared_ptr<token::Token> open_token();

/// Why it was refused; nothing when it was not.
template <typename T>
[[nodiscard]] std::optional<ErrorCode> code_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

}  // namespace intaglio::custody::testing
