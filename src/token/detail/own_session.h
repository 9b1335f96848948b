#pragma once

#include "token/detail/connection.h"

namespace intaglio::token::detail {

/// A session outside the pool, for one rare operation or for objects that live as long as their session. Whoever has one
/// holds Connection::objects() or a lease, so that no new login comes between; after a new login it is void and not closed.
class OwnSession {
 public:
  enum class Access { read_only, read_write };
  [[nodiscard]] static Result<OwnSession> open(Connection& connection, Access access);
  OwnSession(OwnSession&& other) noexcept;
  OwnSession& operator=(OwnSession&&) = delete;
  ~OwnSession();
  [[nodiscard]] CK_SESSION_HANDLE handle() const noexcept { return session_; }
  [[nodiscard]] bool is_void() const noexcept { return epoch_ != connection_->epoch(); }

 private:
  OwnSession(Connection& connection, CK_SESSION_HANDLE session) : connection_(&connection), session_(session), epoch_(connection.epoch()) {}
  Connection* connection_;
  CK_SESSION_HANDLE session_;
  std::uint64_t epoch_;
};

}  // namespace intaglio::token::detail
