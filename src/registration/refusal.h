#pragma once

#include "base/result.h"
#include "http/server.h"

namespace intaglio::registration {

/// What an operator is answered, with the request's id and path in the log.
[[nodiscard]] http::Response refuse(const http::Request& request, const Error& error);

}  // namespace intaglio::registration
