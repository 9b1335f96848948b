#include "token/detail/module.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>

#include "crypto/random.h"
#include "token/detail/session_pool.h"

namespace intaglio::token::detail {
namespace {

std::atomic<bool> must_not_be_called{false};

struct Registry {
  std::mutex mutex;
  std::map<const void*, Module*> modules;
};

Registry& registry() {
  static auto* const leaked = new Registry;
  return *leaked;
}

void in_forked_child() { must_not_be_called = true; }

}  // namespace

bool Module::forbidden() noexcept { return must_not_be_called.load(std::memory_order_relaxed); }

void Module::process_ends() {
  if (must_not_be_called.exchange(true)) return;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (auto& [library, module] : registry().modules) {
    const std::lock_guard lock(module->pools_mutex_);
    for (auto* pool : module->pools_) pool->close_before(deadline);
  }
}

Result<Module*> Module::load(const std::filesystem::path& path, const std::string& nss_parameters) {
  const std::lock_guard lock(registry().mutex);
  // OpenSSL registers its end before the module does, so that the module, which uses it, ends first.
  if (auto drawn = crypto::random_bytes(1); !drawn) return drawn.error();
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    return Error{ErrorCode::configuration, "PKCS#11 module " + path.string() + " cannot be loaded: " + (reason != nullptr ? reason : "")};
  }
  if (const auto found = registry().modules.find(library); found != registry().modules.end()) return found->second;

  const auto entry = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* functions = nullptr;
  if (entry == nullptr || entry(&functions) != CKR_OK || functions == nullptr) {
    return Error{ErrorCode::configuration, path.string() + " is not a PKCS#11 module: no C_GetFunctionList"};
  }
  if (functions->version.major < 2) return Error{ErrorCode::configuration, path.string() + " is older than PKCS#11 v2"};
  if (registry().modules.empty()) {
    ::pthread_atfork(nullptr, nullptr, in_forked_child);
    std::atexit(process_ends);
  }
  auto* const module = new Module(functions, nss_parameters);
  registry().modules.emplace(library, module);
  return module;
}

CK_RV Module::initialise() const {
  // NSS softokn puts its LibraryParameters where v2.40 has pReserved, and the reserved pointer after it (nss/pkcs11t.h).
  struct {
    CK_C_INITIALIZE_ARGS standard;
    void* reserved;
  } arguments{};
  arguments.standard.flags = CKF_OS_LOCKING_OK;
  std::string parameters = nss_parameters_;
  if (!parameters.empty()) arguments.standard.pReserved = parameters.data();
  return functions_->C_Initialize(&arguments);
}

CK_RV Module::enter() {
  const std::lock_guard lock(users_mutex_);
  if (users_ == 0) {
    const auto result = initialise();
    if (result != CKR_OK && result != CKR_CRYPTOKI_ALREADY_INITIALIZED) return result;
    initialised_here_ = result == CKR_OK;
  }
  ++users_;
  return CKR_OK;
}

void Module::leave() {
  const std::lock_guard lock(users_mutex_);
  if (users_ == 0 || --users_ != 0 || !initialised_here_ || forbidden()) return;
  functions_->C_Finalize(nullptr);
}

CK_RV Module::initialise_again() {
  const std::lock_guard lock(users_mutex_);
  const auto result = initialise();
  return result == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CKR_OK : result;
}

void Module::attach(SessionPool* pool) {
  const std::lock_guard lock(pools_mutex_);
  pools_.insert(pool);
}

void Module::detach(SessionPool* pool) {
  const std::lock_guard lock(pools_mutex_);
  pools_.erase(pool);
}

}  // namespace intaglio::token::detail
