#pragma once

#include "protocol/management.h"
#include "protocol/service.h"

namespace intaglio::protocol::wire {

/// Serves one request: the message of its frame in, the whole frame of its answer out. Every refusal, of the border and of the
/// service, becomes an answer that holds the number of its code alone; the detail is logged here. Never throws.
/// `session`: that of the connection, if one is open. A session takes its own next call and no other: any other call ends it and is refused
/// (`conflict`).
[[nodiscard]] Bytes serve(SamService& service, std::unique_ptr<OneTimeSession>& session, ByteView message) noexcept;
/// The same for a privileged user's request; the answer holds the reason of a refusal too.
[[nodiscard]] Bytes serve(ManagementService& service, const crypto::Sha256Digest& peer_spki, ByteView message) noexcept;

}  // namespace intaglio::protocol::wire
