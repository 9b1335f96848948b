#pragma once

#include "json/json.h"
#include "sam/core.h"

namespace intaglio::sam {

/// What a registered RA operator signed: JWS typ intaglio-ra+jwt, kid = operator id, {"op","rid","iat",…} (TC-15).
struct OperatorRequest {
  OperatorId by;
  std::string rid;   ///< single use; consume it in the transaction of the effect
  UnixTime ends;     ///< iat + 10 minutes
  json::Value body;
};
/// not_authorised unless the operator is in the policy, signed this, for this `op`, within the last 10 minutes.
[[nodiscard]] Result<OperatorRequest> verify_operator_request(const Core& core, std::string_view compact, std::string_view op);

}  // namespace intaglio::sam
