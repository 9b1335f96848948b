#pragma once

#include "protocol/service.h"

namespace intaglio::protocol::wire {

/// Serves one request: the message of its frame in, the whole frame of its answer out. Every refusal, of the border and of the
/// service, becomes an answer that holds the number of its code alone; the detail is logged here. Never throws.
[[nodiscard]] Bytes serve(SamService& service, ByteView message) noexcept;

}  // namespace intaglio::protocol::wire
