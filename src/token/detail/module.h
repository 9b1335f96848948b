#pragma once

#include <filesystem>
#include <mutex>
#include <set>
#include <string>

#include "base/result.h"
#include "token/detail/cryptoki.h"

namespace intaglio::token::detail {

class SessionPool;

/// A PKCS#11 library in this process. Loaded once and never unloaded; the object is leaked on purpose, so that nothing of it
/// is destroyed while the process ends.
///
/// C_Initialize when the first user comes, C_Finalize when the last one leaves, but never once the process ends: then the
/// static objects of module and OpenSSL go in an order of their own (openssl issue 22508). At that moment the pools
/// are closed and calls that run are waited for, at most two seconds.
class Module {
 public:
  /// `nss_parameters` of the first load stay. `configuration` when the library or its C_GetFunctionList is missing.
  [[nodiscard]] static Result<Module*> load(const std::filesystem::path& path, const std::string& nss_parameters = {});

  [[nodiscard]] const CK_FUNCTION_LIST& functions() const noexcept { return *functions_; }
  /// Begins a use; C_Initialize with CKF_OS_LOCKING_OK when it is the first.
  [[nodiscard]] CK_RV enter();
  void leave();
  /// C_Initialize again when the module has lost its state (CKR_CRYPTOKI_NOT_INITIALIZED).
  [[nodiscard]] CK_RV initialise_again();
  /// Serialises creation, destruction and search of objects (hsm.md, consequence 8).
  [[nodiscard]] std::mutex& objects() noexcept { return objects_; }

  void attach(SessionPool* pool);
  void detach(SessionPool* pool);

  /// True in a child made by fork and while the process ends: the module must not be called.
  [[nodiscard]] static bool forbidden() noexcept;

 private:
  Module(CK_FUNCTION_LIST* functions, std::string nss_parameters) : functions_(functions), nss_parameters_(std::move(nss_parameters)) {}
  [[nodiscard]] CK_RV initialise() const;
  static void process_ends();

  CK_FUNCTION_LIST* functions_;
  std::string nss_parameters_;
  std::mutex users_mutex_;
  unsigned users_ = 0;
  bool initialised_here_ = false;
  std::mutex objects_;
  std::mutex pools_mutex_;
  std::set<SessionPool*> pools_;
};

}  // namespace intaglio::token::detail
