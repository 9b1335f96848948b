#include "token/detail/session_object.h"

#include "base/log.h"

namespace intaglio::token::detail {

SessionObject::~SessionObject() {
  if (handle_ == CK_INVALID_HANDLE || Module::forbidden()) return;
  const auto result =
      connection_.counters().record(Function::destroy_object, kind_, connection_.functions().C_DestroyObject(lease_.session(), handle_));
  if (result == CKR_OK) return;
  lease_.retire();
  log::error("session object not destroyed, its session is closed", {{"result", std::string(describe(result).name)}});
}

}  // namespace intaglio::token::detail
