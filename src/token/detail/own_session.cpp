#include "token/detail/own_session.h"

#include <utility>

namespace intaglio::token::detail {

Result<OwnSession> OwnSession::open(Connection& connection, Access access) {
  if (Module::forbidden()) return Error{ErrorCode::token_unavailable, "the process ends or was forked"};
  const CK_FLAGS flags = CKF_SERIAL_SESSION | (access == Access::read_write ? CKF_RW_SESSION : 0);
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  const auto result = connection.counters().record(
      Function::open_session, ObjectKind::none, connection.functions().C_OpenSession(connection.slot(), flags, nullptr, nullptr, &session));
  if (result != CKR_OK) return error_of("C_OpenSession", result);
  return OwnSession(connection, session);
}

OwnSession::OwnSession(OwnSession&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)), session_(other.session_), epoch_(other.epoch_) {}

OwnSession::~OwnSession() {
  if (connection_ == nullptr || Module::forbidden() || is_void()) return;
  connection_->counters().record(Function::close_session, ObjectKind::none, connection_->functions().C_CloseSession(session_));
}

}  // namespace intaglio::token::detail
