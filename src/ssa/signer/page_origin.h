#pragma once

#include <string>
#include <string_view>

#include "http/server.h"

namespace intaglio::ssa::signer {

/// The origin of an https address, as browsers write it in `Origin` (RFC 6454, 6.2): lower case, without the usual port.
[[nodiscard]] std::string origin_of(std::string_view address);

/// Lets scripts of one origin, the page's, call /sic/v1/approvals and read the answers (Fetch, 3.2: CORS protocol); requests that another
/// origin's script sends there are refused. The rest of the API has no business with browsers: its answers stay as they are.
/// `page`: what origin_of gave.
[[nodiscard]] http::Handler with_page_origin(http::Handler inner, std::string page);

}  // namespace intaglio::ssa::signer
