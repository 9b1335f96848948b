#pragma once

#include "crypto/algorithms.h"
#include "token/detail/connection.h"

namespace intaglio::token::detail {

/// Refused (`unsupported`, with the mechanism) unless the token says that it generates such key pairs and signs with them, at this size.
[[nodiscard]] Status check_mechanisms(Connection& connection, crypto::KeyAlgorithm algorithm);

}  // namespace intaglio::token::detail
