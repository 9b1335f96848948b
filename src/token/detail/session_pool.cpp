#include "token/detail/session_pool.h"

#include <utility>

#include "token/detail/module.h"

namespace intaglio::token::detail {
namespace {

constexpr std::chrono::seconds patience{5};

Error closed() { return {ErrorCode::token_unavailable, "the sessions of the token are closed"}; }

}  // namespace

Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), session_(other.session_), generation_(other.generation_), retired_(other.retired_) {}

Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(*this);
}

SessionPool::SessionPool(const CK_FUNCTION_LIST& functions, CallCounters& counters, unsigned bound)
    : functions_(functions), counters_(counters), bound_(bound) {
  idle_.reserve(bound);
}

SessionPool::~SessionPool() { close(); }

Result<Lease> SessionPool::lease() {
  if (Module::forbidden()) return closed();
  std::unique_lock lock(mutex_);
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
  return Lease(*this, session, generation_);
}

Result<Lease> SessionPool::open_one(std::unique_lock<std::mutex>& lock) {
  ++leased_;
  const auto slot = slot_;
  const auto generation = generation_;
  lock.unlock();
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  const auto result = counters_.record(Function::open_session, ObjectKind::none,
                                       functions_.C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session));
  if (result == CKR_OK) return Lease(*this, session, generation);
  lock.lock();
  --leased_;
  // The token has fewer sessions than we were told: what is out comes back.
  if (result == CKR_SESSION_COUNT && leased_ > 0) bound_ = leased_;
  changed_.notify_all();
  return error_of("C_OpenSession", result);
}

void SessionPool::give_back(Lease& lease) noexcept {
  std::unique_lock lock(mutex_);
  if (!lease.retired_ && lease.generation_ == generation_ && !closed_) {
    idle_.push_back(lease.session_);
  } else {
    // Closed before it is counted as back: whoever waits for the last lease may end the pool then.
    lock.unlock();
    close_session(lease.session_);
    lock.lock();
  }
  --leased_;
  if (waiting_ > 0 || closed_ || quiet_) changed_.notify_all();
}

void SessionPool::close_session(CK_SESSION_HANDLE session) noexcept {
  if (Module::forbidden()) return;
  counters_.record(Function::close_session, ObjectKind::none, functions_.C_CloseSession(session));
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
  pool_.changed_.wait(lock, [&] { return pool_.leased_ == 0; });
}

SessionPool::Quiet::~Quiet() {
  {
    const std::lock_guard lock(pool_.mutex_);
    pool_.quiet_ = false;
  }
  pool_.changed_.notify_all();
}

}  // namespace intaglio::token::detail
