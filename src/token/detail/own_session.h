#pragma once

#include "token/detail/connection.h"

namespace intaglio::token::detail {

/// A session outside the pool, for one rare operation or for an object that lives as long as its session.
class OwnSession {
 public:
  enum class Access { read_only, read_write };
  [[nodiscard]] static Result<OwnSession> open(Connection& connection, Access access);
  OwnSession(OwnSession&& other) noexcept;
  OwnSession& operator=(OwnSession&&) = delete;
  ~OwnSession();
  [[nodiscard]] CK_SESSION_HANDLE handle() const noexcept { return session_; }

 private:
  OwnSession(Connection& connection, CK_SESSION_HANDLE session) : connection_(&connection), session_(session) {}
  Connection* connection_;
  CK_SESSION_HANDLE session_;
};

}  // namespace intaglio::token::detail
