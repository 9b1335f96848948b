#include "token/detail/fault.h"

#ifdef INTAGLIO_TESTING
#include <cstdlib>
#include <string>

#include "base/file.h"

namespace intaglio::token::detail {

InjectedFault injected_fault() {
  const char* wanted = std::getenv("INTAGLIO_TOKEN_FAULT");
  if (wanted == nullptr || *wanted == '\0') return {};
  std::string spec(wanted);
  if (spec.front() == '@') {
    auto content = read_file(spec.substr(1), 64);
    if (!content) return {};
    spec = std::string(as_text(*content));
    spec.erase(spec.find_last_not_of(" \n") + 1);
  }
  if (spec == "wrong-signature") return {Fault::wrong_signature, {}};
  if (spec == "doubtful") return {Fault::doubtful, {}};
  if (spec == "definite") return {Fault::definite, {}};
  if (spec == "session-lost") return {Fault::session_lost, {}};
  if (spec == "wrong-service-signature") return {Fault::wrong_service_signature, {}};
  if (spec == "unwell") return {Fault::unwell, {}};
  if (spec == "lacks-rsa") return {Fault::lacks_rsa, {}};
  if (spec.starts_with("slow:")) return {Fault::slow, std::chrono::milliseconds(std::atol(spec.c_str() + 5))};
  if (spec.starts_with("wrapping-step:")) return {Fault::wrapping_step, {}, static_cast<unsigned>(std::atol(spec.c_str() + 14))};
  return {};
}

}  // namespace intaglio::token::detail
#endif
