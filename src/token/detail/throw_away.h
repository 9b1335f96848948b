#pragma once

#include "token/detail/own_session.h"

namespace intaglio::token::detail {

/// Whether the module knows no session objects, so that throw-away keys are token objects which somebody must destroy again.
[[nodiscard]] inline bool stores_throw_away_keys(const Connection& connection) noexcept {
  return connection.profile().throw_away == HsmProfile::ThrowAway::token_objects;
}

/// Destroys the stored objects with this CKA_ID, which no key of the SAM or of a signer has; those of a process that was killed as
/// well. Gives how many stay; a search that failed counts as one. In a session of its own, since another may hold an operation.
[[nodiscard]] std::size_t destroy_stored(Connection& connection, ByteView id);

}  // namespace intaglio::token::detail
