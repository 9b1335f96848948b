#pragma once

#include "evidence/webauthn.h"
#include "json/json.h"

namespace intaglio::sam {

/// `passkeys` of a policy document: {"rp_id": host, "origins": ["https://…"], "backup_eligible": bool} and, together or not at all,
/// "models" (AAGUIDs as text, at most 256) and "roots" (base64 DER, at most 64). Refused (`configuration`): an rp_id that is no host in
/// lower case, an origin that is not https or not of that host or below it, models without roots, whatever is not known.
[[nodiscard]] Result<evidence::webauthn::Rules> parse_passkey_rules(const json::Value& object);

}  // namespace intaglio::sam
