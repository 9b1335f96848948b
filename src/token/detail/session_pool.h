#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "token/detail/call_counters.h"
#include "token/detail/cryptoki.h"

namespace intaglio::token::detail {

class SessionPool;

/// One session for one operation: it goes back when the lease ends, or is closed when it was retired.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();
  [[nodiscard]] CK_SESSION_HANDLE session() const noexcept { return session_; }
  /// The session is in a state that nobody knows: closed instead of given back.
  void retire() noexcept { retired_ = true; }
  /// Before each further call of a lease that makes several: one call may take TokenConfig::call_timeout, not all of them.
  void renew() noexcept;

 private:
  friend class SessionPool;
  Lease(SessionPool& pool, CK_SESSION_HANDLE session, std::uint64_t generation, std::chrono::steady_clock::time_point begun)
      : pool_(&pool), session_(session), generation_(generation), begun_(begun) {}
  SessionPool* pool_;
  CK_SESSION_HANDLE session_;
  std::uint64_t generation_;
  std::chrono::steady_clock::time_point begun_;
  bool retired_ = false;
};

/// A bounded number of read-only sessions, opened when they are needed. The one used last is given out first.
class SessionPool {
 public:
  SessionPool(const CK_FUNCTION_LIST& functions, CallCounters& counters, unsigned bound, std::chrono::milliseconds call_timeout);
  ~SessionPool();
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;

  /// Waits at most five seconds for a session: `busy` then, `token_unavailable` when none can be opened, when the pool is closed,
  /// and at once while a call hangs in the module.
  [[nodiscard]] Result<Lease> lease();
  /// From now on sessions of this slot; those of before are closed as they come back.
  void start_over(CK_SLOT_ID slot);
  /// Closes the sessions that nobody uses.
  void close_idle();
  /// No more leases; waits for those that are out, then closes every session.
  void close();
  /// As close, but gives up at the deadline and leaves the sessions to the end of the process.
  void close_before(std::chrono::steady_clock::time_point deadline);

  /// How many leases are out for longer than a call may take. Their sessions are closed when they come back.
  [[nodiscard]] unsigned hanging();

  /// Runs while no lease is out and none is given: a moment in which no other thread is in the module with our sessions. Refused
  /// when a call hangs, since it would be waited for.
  template <typename Work>
  Status alone(Work&& work) {
    const Quiet quiet(*this);
    if (!quiet.reached()) return does_not_answer();
    return work();
  }

 private:
  friend class Lease;
  class Quiet {
   public:
    explicit Quiet(SessionPool& pool);
    ~Quiet();
    [[nodiscard]] bool reached() const noexcept { return reached_; }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

   private:
    SessionPool& pool_;
    bool reached_ = true;
  };
  using Moment = std::chrono::steady_clock::time_point;

  static Error does_not_answer() { return {ErrorCode::token_unavailable, "the token does not answer: a call hangs in it"}; }
  [[nodiscard]] unsigned hanging_locked() const;
  [[nodiscard]] Result<Lease> open_one(std::unique_lock<std::mutex>& lock);
  void give_back(Lease& lease) noexcept;
  void renew(Lease& lease) noexcept;
  void close_session(CK_SESSION_HANDLE session) noexcept;

  const CK_FUNCTION_LIST& functions_;
  CallCounters& counters_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<CK_SESSION_HANDLE> idle_;
  CK_SLOT_ID slot_ = 0;
  std::uint64_t generation_ = 0;
  std::vector<Moment> begun_;  ///< of each lease that is out, in no order
  const std::chrono::milliseconds call_timeout_;
  unsigned bound_;
  unsigned leased_ = 0;
  unsigned waiting_ = 0;
  bool quiet_ = false;
  bool closed_ = true;
};

}  // namespace intaglio::token::detail
