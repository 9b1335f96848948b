#pragma once

#include "audit/detail/checkpoint.h"
#include "audit/detail/entries.h"
#include "audit/detail/tiles.h"

namespace intaglio::audit::detail {

/// The receipt of one entry under a signed checkpoint: {"checkpoint","event","inclusion","index","leaf","log"}; "event" is the
/// canonical text itself, hashes are base64. Refused (`audit_unavailable`) when the tiles do not lead to the checkpoint's root.
[[nodiscard]] Result<std::string> make_receipt(const Entry& entry, const Checkpoint& checkpoint, const std::string& note,
                                               const Tiles& tiles);

}  // namespace intaglio::audit::detail
