#pragma once

#include "sam/core.h"

namespace intaglio::sam {

/// Whose registered device asks (api/sap, 12): compact JWS, ES256, typ intaglio-device+jwt, kid SIGNER.NAME, payload {"jti","iat"}. Taken once,
/// and within a minute. Refused (`authentication_failed`) for a foreign device and for a signer that does not exist alike, after the same
/// work; `replayed`. It authorises nothing.
[[nodiscard]] Result<SignerId> recognise_device(Core& core, std::string_view request);

}  // namespace intaglio::sam
