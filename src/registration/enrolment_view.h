#pragma once

#include "http/routes.h"
#include "registration/enrolments.h"

namespace intaglio::registration {

/// `GET /ra/v1/enrolments?state=&ending=&after=&limit=`: a page of the register; `now` is what `ending` counts days from.
[[nodiscard]] http::Response list_enrolments(Enrolments& enrolments, const http::Request& request, UnixTime now);
/// `GET /ra/v1/enrolments/{signerID}`: one signer with his keys.
[[nodiscard]] http::Response show_enrolment(Enrolments& enrolments, const http::Request& request, std::string_view signer);

}  // namespace intaglio::registration
