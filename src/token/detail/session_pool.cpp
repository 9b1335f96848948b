#include "token/detail/session_pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "token/detail/module.h"

namespace intaglio::token::detail {
namespace {

constexpr std::chrono::seconds patience{5};

Error closed() { return {ErrorCode::token_unavailable, "the sessions of the token are closed"}; }

}  // namespace

Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      session_(other.session_),
      generation_(other.generation_),
      begun_(other.begun_),
      retired_(other.retired_) {}

Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(*this);
}

void Lease::renew() noexcept { pool_->renew(*this); }

SessionPool::SessionPool(const CK_FUNCTION_LIST& functions, CallCounters& counters, unsigned bound, std::chrono::milliseconds call_timeout)
    : functions_(functions), counters_(counters), call_timeout_(call_timeout), bound_(bound) {
  idle_.reserve(bound);
  begun_.reserve(bound);
}

SessionPool::~SessionPool() { close(); }

Result<Lease> SessionPool::lease() {
  if (Module::forbidden()) return closed();
  std::unique_lock lock(mutex_);
  if (refused_by("token.hanging_call", hanging_locked() != 0)) return does_not_answer();
  const auto may_go = [&] { return closed_ || (!quiet_ && (!idle_.empty() || leased_ < bound_)); };
  if (!may_go()) {
    ++waiting_;
    const bool came = changed_.wait_for(lock, patience, may_go);
    --waiting_;
    if (!came) return Error{ErrorCode::busy, "no session of the token came free"};
  }
  if (closed_) return closed();
  if (idle_.empty()) return open_one(lock);
  const auto session = idle_.back();
  idle_.pop_back();
  ++leased_;
  begun_.push_back(std::chrono::steady_clock::now());
  return Lease(*this, session, generation_, begun_.back());
}

Result<Lease> SessionPool::open_one(std::unique_lock<std::mutex>& lock) {
  ++leased_;
  const auto slot = slot_;
  const auto generation = generation_;
  const auto begun = begun_.emplace_back(std::chrono::steady_clock::now());
  lock.unlock();
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  const auto result = counters_.record(Function::open_session, ObjectKind::none,
                                       functions_.C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session));
  if (result == CKR_OK) return Lease(*this, session, generation, begun);
  lock.lock();
  --leased_;
  begun_.erase(std::find(begun_.begin(), begun_.end(), begun));
  // The token has fewer sessions than we were told: what is out comes back.
  if (result == CKR_SESSION_COUNT && leased_ > 0) bound_ = leased_;
  changed_.notify_all();
  return error_of("C_OpenSession", result);
}

void SessionPool::give_back(Lease& lease) noexcept {
  const bool late = std::chrono::steady_clock::now() - lease.begun_ > call_timeout_;
  if (late) log::warn("token call came back late");
  std::unique_lock lock(mutex_);
  if (!lease.retired_ && !late && lease.generation_ == generation_ && !closed_) {
    idle_.push_back(lease.session_);
  } else {
    // Closed before it is counted as back: whoever waits for the last lease may end the pool then.
    lock.unlock();
    close_session(lease.session_);
    lock.lock();
  }
  --leased_;
  // Of two leases of one moment either will do.
  if (const auto found = std::find(begun_.begin(), begun_.end(), lease.begun_); found != begun_.end()) {
    *found = begun_.back();
    begun_.pop_back();
  }
  if (waiting_ > 0 || closed_ || quiet_) changed_.notify_all();
}

void SessionPool::renew(Lease& lease) noexcept {
  const auto now = std::chrono::steady_clock::now();
  // A call that came back late leaves its lease late: the session is closed when it is given back.
  if (now - lease.begun_ > call_timeout_) return;
  const std::lock_guard lock(mutex_);
  if (const auto found = std::find(begun_.begin(), begun_.end(), lease.begun_); found != begun_.end()) *found = now;
  lease.begun_ = now;
}

void SessionPool::close_session(CK_SESSION_HANDLE session) noexcept {
  if (Module::forbidden()) return;
  counters_.record(Function::close_session, ObjectKind::none, functions_.C_CloseSession(session));
}

unsigned SessionPool::hanging_locked() const {
  if (begun_.empty()) return 0;
  const auto latest = std::chrono::steady_clock::now() - call_timeout_;
  return static_cast<unsigned>(std::count_if(begun_.begin(), begun_.end(), [&](Moment begun) { return begun < latest; }));
}

unsigned SessionPool::hanging() {
  const std::lock_guard lock(mutex_);
  return hanging_locked();
}

void SessionPool::close_idle() {
  std::vector<CK_SESSION_HANDLE> old;
  {
    const std::lock_guard lock(mutex_);
    old.swap(idle_);
    idle_.reserve(bound_);
  }
  for (const auto session : old) close_session(session);
}

void SessionPool::start_over(CK_SLOT_ID slot) {
  {
    const std::lock_guard lock(mutex_);
    slot_ = slot;
    ++generation_;
    closed_ = false;
  }
  close_idle();
}

void SessionPool::close() { close_before(std::chrono::steady_clock::time_point::max()); }

void SessionPool::close_before(std::chrono::steady_clock::time_point deadline) {
  std::vector<CK_SESSION_HANDLE> old;
  // In a child made by fork the threads that hold leases do not exist.
  if (Module::forbidden() && deadline == std::chrono::steady_clock::time_point::max()) return;
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    const auto none_out = [&] { return leased_ == 0; };
    if (deadline == std::chrono::steady_clock::time_point::max()) {
      changed_.wait(lock, none_out);
    } else if (!changed_.wait_until(lock, deadline, none_out)) {
      return;
    }
    old.swap(idle_);
  }
  for (const auto session : old) close_session(session);
}

SessionPool::Quiet::Quiet(SessionPool& pool) : pool_(pool) {
  std::unique_lock lock(pool_.mutex_);
  pool_.changed_.wait(lock, [&] { return !pool_.quiet_; });
  pool_.quiet_ = true;
  const auto none_out = [&] { return pool_.leased_ == 0; };
  while (reached_ && !none_out()) {
    pool_.changed_.wait_for(lock, std::chrono::milliseconds(100), none_out);
    reached_ = none_out() || pool_.hanging_locked() == 0;
  }
}

SessionPool::Quiet::~Quiet() {
  {
    const std::lock_guard lock(pool_.mutex_);
    pool_.quiet_ = false;
  }
  pool_.changed_.notify_all();
}

}  // namespace intaglio::token::detail
