#pragma once

#include <string_view>

#include "base/result.h"

namespace intaglio::protocol {

/// Text that a signer may be shown: well-formed UTF-8 (RFC 3629) of at most `max_bytes`, without control characters (C0, C1,
/// line and paragraph separators) and without bidirectional overrides, which would let a label look like another one.
/// Refused with `invalid_request`; the detail carries `what`.
Status check_text(std::string_view text, std::size_t max_bytes, std::string_view what);

}  // namespace intaglio::protocol
