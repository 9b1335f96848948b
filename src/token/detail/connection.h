#pragma once

#include <functional>
#include <memory>

#include "token/detail/breaker.h"
#include "token/detail/call_counters.h"
#include "token/detail/directory_guard.h"
#include "token/detail/module.h"
#include "token/detail/session_pool.h"
#include "token/hsm_profile.h"
#include "token/token.h"

namespace intaglio::token::detail {

/// What a call into the module gave, with the name of the function that gave it.
struct CallResult {
  std::string_view function;
  CK_RV result;
};

/// The token, logged in: a keeper session that holds the login, and the pool. What is lost (sessions, login, slot, module) is
/// made again without a restart; the PIN is read from its file at each login and not kept.
class Connection {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const TokenConfig& config);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] const CK_FUNCTION_LIST& functions() const noexcept { return module_.functions(); }
  [[nodiscard]] CallCounters& counters() noexcept { return counters_; }
  [[nodiscard]] SessionPool& pool() noexcept { return pool_; }
  [[nodiscard]] CK_SESSION_HANDLE keeper() const noexcept { return keeper_; }
  [[nodiscard]] CK_SLOT_ID slot() const noexcept { return slot_; }
  [[nodiscard]] const std::string& description() const noexcept { return description_; }
  [[nodiscard]] const HsmProfile& profile() const noexcept { return *config_.profile; }
  /// Grows with each login: sessions and handles of an earlier epoch are void. It stands still while a lease is out.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  /// Set once, before the first use: finds the cached keys again (called with objects() held), and the known-answer check.
  void on_new_login(std::function<Status()> rebind) { rebind_ = std::move(rebind); }
  void check_with(std::function<Status()> check) { check_ = std::move(check); }

  /// A session, unless the circuit breaker is open; whoever comes first after its rest tries the token.
  [[nodiscard]] Result<Lease> lease();
  /// After a failed call, without any lease: true when the operation is worth another try on this connection. `attempt` from 0.
  [[nodiscard]] bool repair(CK_RV result, unsigned attempt, std::uint64_t epoch);
  /// Counts the end of an operation for the breaker; a failure that is the input's own is neither.
  void ended_well() noexcept { breaker_.succeeded(); }
  void ended_badly(CK_RV result);
  /// A signature that does not verify: the sessions go; the second one condemns the token (TC-5).
  void wrong_signature();
  /// Logs in anew unless another thread did since `epoch`.
  Status recover(std::uint64_t epoch);
  /// For rare operations: the login still stands, or stands again.
  Status ensure_login();

  [[nodiscard]] std::mutex& objects() noexcept { return module_.objects(); }
  /// The lock between processes around creation and destruction; nothing for tokens that are no SoftHSM folder.
  [[nodiscard]] Result<std::optional<DirectoryGuard>> lock_directory(std::chrono::milliseconds patience) const;
  [[nodiscard]] bool shares_directory() const noexcept { return !config_.softhsm_directory.empty(); }

 private:
  Connection(TokenConfig config, Module& module);
  Status log_in();
  Status open_keeper(const Secret& pin);
  void close_keeper();
  [[nodiscard]] bool logged_in();

  TokenConfig config_;
  std::optional<DirectoryUse> use_;
  Module& module_;
  CallCounters counters_;
  SessionPool pool_;
  Breaker breaker_;
  std::mutex login_mutex_;
  std::atomic<std::uint64_t> epoch_{0};
  std::atomic<CK_SESSION_HANDLE> keeper_{CK_INVALID_HANDLE};
  std::atomic<CK_SLOT_ID> slot_{0};
  std::atomic<unsigned> wrong_signatures_{0};
  bool entered_ = false;
  bool pin_was_refused_ = false;
  std::string description_;
  std::function<Status()> rebind_;
  std::function<Status()> check_;
};

}  // namespace intaglio::token::detail
