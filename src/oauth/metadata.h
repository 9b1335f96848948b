#pragma once

#include <string>
#include <string_view>

namespace intaglio::oauth {

/// Authorization server metadata (RFC 8414, 2), JSON text. `base`: where the endpoints are, such as https://host/csc/v2/oauth2.
/// `with_codes`: the authorization endpoint is offered.
[[nodiscard]] std::string metadata(std::string_view issuer, std::string_view base, bool with_codes);

}  // namespace intaglio::oauth
