#pragma once

#include <memory>
#include <optional>

#include "token/token.h"

/// For the unit tests of this room: one SoftHSM2 folder for the whole test process.
namespace intaglio::custody::testing {

[[nodiscard]] std::shared_ptr<token::Token> open_token();
/// The token of the suite of resident custody: this folder's, or the one that INTAGLIO_TEST_MODULE, INTAGLIO_TEST_PIN (its file) and
/// INTAGLIO_TEST_PROFILE name, labelled "unit".
[[nodiscard]] std::shared_ptr<token::Token> open_resident_token();

/// Why it was refused; nothing when it was not.
template <typename T>
[[nodiscard]] std::optional<ErrorCode> code_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

}  // namespace intaglio::custody::testing
