#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/server.h"
#include "oauth/grants.h"

namespace intaglio::oauth {

/// True when the request has a DPoP header; that it has only one is the HTTP reader's business, which refuses a header twice.
[[nodiscard]] bool has_dpop_proof(const http::Request& request);

/// The RFC 7638 thumbprint of the key that a request proves to have (RFC 9449, 4.3): typ dpop+jwt, ES256, the public key in the header and a
/// signature of it; htm and htu those of the request, iat within a minute, jti used once with this key, durably; `token`, when it is not
/// empty: ath is its SHA-256. `origin`: scheme, host and port of the listener as clients write them. Refused (`not_authorised`,
/// `replayed`), or the error of the store.
[[nodiscard]] Result<std::string> verify_dpop_proof(const http::Request& request, std::string_view origin, std::string_view token,
                                                    const Grants& grants, UnixTime now);

}  // namespace intaglio::oauth
