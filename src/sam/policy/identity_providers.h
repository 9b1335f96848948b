#pragma once

#include <vector>

#include "evidence/id_token.h"
#include "json/json.h"

namespace intaglio::sam {

/// `identity_providers` of a policy document, 1 to 8: {"issuer": "https://…", "client_id", "acr" (levels that are let in, 1 to 8),
/// "max_auth_seconds" (10 to 3600), "max_skew_seconds" (0 to 60)} and one of "keys" (public JWKs with kid and alg, 1 to 8) and
/// "authority" {"anchors" (base64 DER, 1 to 4), "subject" (RFC 4514), "alg"}. Refused (`configuration`): an issuer that is no https URL or
/// stands twice, keys of one name, an algorithm other than RS256, PS256, ES256, whatever is not known.
[[nodiscard]] Result<std::vector<evidence::id_token::IssuerPolicy>> parse_identity_providers(const json::Value& list);

}  // namespace intaglio::sam
