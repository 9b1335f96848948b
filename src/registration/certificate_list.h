#pragma once

#include <vector>

#include "base/bytes.h"

namespace intaglio::registration {

/// Certificates in one column: their number, then each, as fields.
[[nodiscard]] Bytes encode_certificates(const std::vector<Bytes>& certificates);
/// The reverse; of nothing: none. Refused: a certificate of more than 64 KiB, bytes behind.
[[nodiscard]] Result<std::vector<Bytes>> parse_certificates(ByteView encoded);

}  // namespace intaglio::registration
