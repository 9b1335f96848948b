#pragma once

#include <mutex>

#include "token/detail/session_object.h"

namespace intaglio::token::detail {

/// A signer's key that was unwrapped into a session, and that session, which nobody else uses meanwhile. While it lives no new
/// login comes between (Connection::epoch), so that its handle is its own until the end.
struct ActivatedObject {
  ActivatedObject(std::shared_ptr<Token> owner, Connection& connection, Lease leased)
      : token(std::move(owner)), lease(std::move(leased)), object(connection, lease, ObjectKind::signer_key) {}

  std::shared_ptr<Token> token;  ///< ends last
  Lease lease;
  SessionObject object;
  std::mutex use;       ///< one signature at a time: it is one session
  bool failed = false;  ///< the session is in a state that nobody knows
};

}  // namespace intaglio::token::detail
