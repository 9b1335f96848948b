#include "token/softhsm.h"

#include <sys/stat.h>

#include "base/check.h"
#include "base/file.h"
#include "token/detail/module.h"
#include "token/detail/slot.h"
#include "token/token.h"

namespace intaglio::token {
namespace {

using detail::CallCounters;
using detail::Module;

/// One use of the module: when nothing else uses it, it ends with this, so that another SOFTHSM2_CONF can follow.
class ModuleUse {
 public:
  explicit ModuleUse(Module& module) : module_(module), result_(module.enter()) {}
  ~ModuleUse() {
    if (result_ == CKR_OK) module_.leave();
  }
  ModuleUse(const ModuleUse&) = delete;
  ModuleUse& operator=(const ModuleUse&) = delete;
  [[nodiscard]] CK_RV result() const noexcept { return result_; }

 private:
  Module& module_;
  CK_RV result_;
};

CK_UTF8CHAR* writable(ByteView text) noexcept { return const_cast<CK_UTF8CHAR*>(text.data()); }

Status set_user_pin(const CK_FUNCTION_LIST& functions, CK_SLOT_ID slot, ByteView so_pin, ByteView user_pin) {
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  auto result = functions.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session);
  if (result != CKR_OK) return detail::error_of("C_OpenSession", result);
  std::string_view function = "C_Login";
  result = functions.C_Login(session, CKU_SO, writable(so_pin), so_pin.size());
  if (result == CKR_OK) {
    function = "C_InitPIN";
    result = functions.C_InitPIN(session, writable(user_pin), user_pin.size());
    functions.C_Logout(session);
  }
  functions.C_CloseSession(session);
  return result == CKR_OK ? Status() : detail::error_of(function, result);
}

}  // namespace

Status write_softhsm_configuration(const std::filesystem::path& file, const std::filesystem::path& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed || ::chmod(directory.c_str(), 0700) != 0) {
    return Error{ErrorCode::storage_unavailable, "token directory " + directory.string() + " cannot be made"};
  }
  const auto absolute = std::filesystem::absolute(directory, failed).string();
  if (absolute.find('\n') != std::string::npos) return Error{ErrorCode::invalid_request, "a token directory with a line break in its name"};
  const auto text =
      "directories.tokendir = " + absolute +
      "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\nslots.mechanisms = ALL\nlibrary.reset_on_fork = true\n";
  return write_file_durably(file, as_bytes(text), 0600);
}

Status initialise_token(const std::filesystem::path& module, std::string_view label, const Secret& so_pin, const Secret& user_pin) {
  if (label.empty() || label.size() > 32) return Error{ErrorCode::invalid_request, "a token label has 1 to 32 characters"};
  auto loaded = Module::load(module);
  if (!loaded) return loaded.error();
  CallCounters counters;
  const ModuleUse use(**loaded);
  if (use.result() != CKR_OK) return detail::error_of("C_Initialize", use.result());
  const auto& functions = (*loaded)->functions();
  const std::lock_guard lock((*loaded)->objects());

  const auto existing = detail::find_slot(functions, counters, label);
  if (refused_by("token.exists_already", existing || existing.error().code != ErrorCode::not_found)) {
    return Error{ErrorCode::conflict, "a token is labelled " + std::string(label) + " already"};
  }
  auto slot = detail::find_free_slot(functions, counters);
  if (!slot) return slot.error();
  std::array<CK_UTF8CHAR, 32> padded{};
  padded.fill(' ');
  std::copy(label.begin(), label.end(), padded.begin());
  const auto so = so_pin.reveal();
  const auto result = functions.C_InitToken(*slot, writable(so), so.size(), padded.data());
  if (result != CKR_OK) return detail::error_of("C_InitToken", result);
  auto initialised = detail::find_slot(functions, counters, label);
  if (!initialised) return initialised.error();
  return set_user_pin(functions, initialised->id, so, user_pin.reveal());
}

}  // namespace intaglio::token
