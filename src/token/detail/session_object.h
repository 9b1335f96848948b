#pragma once

#include "token/detail/connection.h"

namespace intaglio::token::detail {

/// A session object that is destroyed when the scope ends, on every path. Where the token does not destroy it, its session is
/// closed instead of given back, and takes it along (PKCS#11 v2.40, 2.6.5).
class SessionObject {
 public:
  /// Lives shorter than the lease.
  SessionObject(Connection& connection, Lease& lease, ObjectKind kind) noexcept : connection_(connection), lease_(lease), kind_(kind) {}
  SessionObject(const SessionObject&) = delete;
  SessionObject& operator=(const SessionObject&) = delete;
  ~SessionObject();

  [[nodiscard]] CK_OBJECT_HANDLE handle() const noexcept { return handle_; }
  [[nodiscard]] ObjectKind kind() const noexcept { return kind_; }
  /// Of a call that succeeded.
  void hold(CK_OBJECT_HANDLE handle) noexcept { handle_ = handle; }

 private:
  Connection& connection_;
  Lease& lease_;
  ObjectKind kind_;
  CK_OBJECT_HANDLE handle_ = CK_INVALID_HANDLE;
};

}  // namespace intaglio::token::detail
