#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio::cli {

/// The text as a QR code in UTF-8 half blocks, two modules a character, with its quiet zone. `coloured`: black on white by
/// escape codes, readable on any terminal; else the light modules are drawn, as for light letters on a dark ground.
[[nodiscard]] Result<std::string> draw_qr_code(ByteView text, bool coloured);

}  // namespace intaglio::cli
