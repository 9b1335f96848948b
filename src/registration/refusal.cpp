#include "registration/refusal.h"

#include "base/log.h"
#include "http/routes.h"

namespace intaglio::registration {

http::Response refuse(const http::Request& request, const Error& error) {
  log::refusal("registration.refused", error, {{"request", request.request_id}, {"path", request.path}});
  return http::error_answer(error);
}

}  // namespace intaglio::registration
