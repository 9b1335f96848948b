#pragma once

#include <string>
#include <string_view>

#include "json/json.h"

namespace intaglio::registration {

/// An operator's request, not verified: only its form is known. What it says serves to find rows and to refuse early.
struct OperatorRequest {
  std::string compact;  ///< the JWS as it came, to be relayed
  std::string operator_id;
  json::Value payload;
};
/// JWS typ intaglio-ra+jwt, ES256, at most 64 KiB, with payload members op, rid and iat; `op` as expected. Refused
/// (`invalid_request`) otherwise. The signature is the SAM's and the PKI's to verify.
[[nodiscard]] Result<OperatorRequest> parse_operator_request(std::string_view compact, std::string_view op);

}  // namespace intaglio::registration
