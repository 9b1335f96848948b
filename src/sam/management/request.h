#pragma once

#include "sam/restore/restored.h"
#include "sam/roles/users.h"

namespace intaglio::sam {

/// What a privileged user signed: JWS typ intaglio-manage+jwt, kid = user id, {"op","rid","iat","sam",…}. Not believed yet.
struct ManagementRequest {
  std::string op, rid;
  UnixTime issued;
  std::string sam;      ///< the SAM that it is meant for
  json::Value body;
};
inline constexpr std::chrono::minutes management_request_lifetime{2};
inline constexpr std::chrono::seconds management_clock_tolerance{30};

/// `not_authorised` when it is not signed with this user's key; `invalid_request` when a member is missing or out of bounds.
[[nodiscard]] Result<ManagementRequest> verify_management_request(std::string_view compact, const PrivilegedUser& by);
/// `not_authorised` unless it is meant for this SAM.
[[nodiscard]] Status check_meant_for_us(const ManagementRequest& request, std::string_view sam);
/// `not_authorised` unless it is of the last two minutes, and certainly none of before a restore.
[[nodiscard]] Status check_fresh(const ManagementRequest& request, const Restored& restored, UnixTime now);
/// `not_authorised` when the user, one of `users`, is suspended, locked, or idle (PrivilegedUsers::idle; SRG_M, login).
[[nodiscard]] Status check_may_log_in(const PrivilegedUsers& users, const PrivilegedUser& user, std::chrono::hours max_idle, UnixTime now);

}  // namespace intaglio::sam
