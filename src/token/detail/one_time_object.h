#pragma once

#include <mutex>
#include <optional>

#include "token/detail/own_session.h"

namespace intaglio::token::detail {

/// The two halves of a one-time key and the session that owns them.
struct OneTimeObject {
  OneTimeObject(std::shared_ptr<Token> owner, Connection& opened, OwnSession made)
      : token(std::move(owner)), connection(opened), session(std::move(made)) {}
  OneTimeObject(const OneTimeObject&) = delete;
  OneTimeObject& operator=(const OneTimeObject&) = delete;
  ~OneTimeObject() { end(); }

  /// Destroys both halves and closes the session, which takes along what the token did not destroy. After a new login they are gone.
  void end() noexcept;

  std::shared_ptr<Token> token;  ///< ends last
  Connection& connection;
  std::optional<OwnSession> session;  ///< none: ended
  CK_OBJECT_HANDLE own = CK_INVALID_HANDLE, other = CK_INVALID_HANDLE;
  std::mutex use;       ///< one signature at a time, and none while it ends
  bool failed = false;  ///< a signature ended in doubt: no other is tried
};

}  // namespace intaglio::token::detail
