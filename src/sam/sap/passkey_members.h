#pragma once

#include "evidence/webauthn.h"
#include "json/json.h"

/// Passkeys as they stand among the factors of a SAP message (api/sap/README.md, 6). Each refused (`invalid_request`) with the member's name.
namespace intaglio::sam {

/// {"id", "client_data", "authenticator_data", "signature"} in base64url, at most 1023, 4096, 2048 and 1024 bytes.
[[nodiscard]] Result<evidence::webauthn::AssertionResponse> parse_assertion(const json::Value& factor);
/// {"client_data", "attestation"} in base64url, at most 4 KiB and 16 KiB.
[[nodiscard]] Result<evidence::webauthn::RegistrationResponse> parse_registration(const json::Value& factor);

}  // namespace intaglio::sam
