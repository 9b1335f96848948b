#include "storage/group_writer.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace intaglio::storage {

namespace {

constexpr std::size_t max_waiting = 4096;
constexpr std::size_t max_group = 256;

/// What a calling thread sleeps on: at once, where a semaphore of the library would spin first, for a disk that is slower than any spin.
/// Shared, because the writer may still be inside release() when the caller is gone.
class Waiter {
 public:
  void release() {
    {
      const std::lock_guard lock(mutex_);
      released_ = true;
    }
    changed_.notify_one();
  }
  void acquire() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return released_; });
    released_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
};

std::shared_ptr<Waiter> waiter_of_this_thread() {
  thread_local const auto waiter = std::make_shared<Waiter>();
  return waiter;
}

class WriterTransaction final : public Transaction {
 public:
  WriterTransaction(Connection& connection, std::vector<std::function<void()>>& committed)
      : connection_(connection), committed_(committed) {}
  Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) override {
    return connection_.query(sql, parameters, each);
  }
  Result<std::int64_t> execute(std::string_view sql, Parameters parameters) override { return connection_.execute(sql, parameters); }
  void after_commit(std::function<void()> done) override { committed_.push_back(std::move(done)); }

 private:
  Connection& connection_;
  std::vector<std::function<void()>>& committed_;
};

}  // namespace

/// Lives on the stack of its caller.
struct GroupWriter::Request {
  const std::function<Status(Transaction&)>& work;
  std::shared_ptr<Waiter> waiter;
  Status status;
  std::vector<std::function<void()>> committed{};  ///< to run when its commit is durable
};

GroupWriter::GroupWriter(std::string name, Connect connect, std::unique_ptr<Connection> connection)
    : name_(std::move(name)), connect_(std::move(connect)), connection_(std::move(connection)), thread_([this] { serve(); }) {}

GroupWriter::~GroupWriter() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    turn_free_.wait(lock, [this] { return turn_ == Turn::nobody; });
  }
  work_waits_.notify_one();
  thread_.join();
}

Status GroupWriter::write(const std::function<Status(Transaction&)>& work) {
  if (std::this_thread::get_id() == at_work_.load()) panic("storage: write() inside write() or inside a commit hook");
  Request request{work, nullptr, {}};
  {
    std::unique_lock lock(mutex_);
    if (stopping_) return Error{ErrorCode::storage_unavailable, "storage: the database is being closed"};
    if (turn_ != Turn::nobody) {
      if (queue_.size() >= max_waiting) return Error{ErrorCode::busy, "storage: too many callers wait for the writer"};
      const auto waiter = request.waiter = waiter_of_this_thread();
      queue_.push_back(&request);
      lock.unlock();
      waiter->acquire();
      return std::move(request.status);
    }
    turn_ = Turn::caller;
  }
  carry({&request});
  const std::lock_guard lock(mutex_);
  if (!queue_.empty() || upkeep_due_) {
    turn_ = Turn::writer;
    work_waits_.notify_one();
  } else {
    turn_ = Turn::nobody;
    if (stopping_) turn_free_.notify_one();
  }
  return std::move(request.status);
}

void GroupWriter::on_commit(std::function<Status()> hook) {
  const std::lock_guard lock(hooks_mutex_);
  hooks_.push_back(std::move(hook));
}

void GroupWriter::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_waits_.wait(lock, [this] { return turn_ == Turn::writer || (stopping_ && turn_ == Turn::nobody); });
    if (turn_ == Turn::nobody) return;
    while (!queue_.empty() || upkeep_due_) {
      const Group group = take();
      lock.unlock();
      carry(group);
      for (auto* request : group) {
        // The request dies with its caller's stack frame as soon as it is released; what it sleeps on does not.
        const auto waiter = std::move(request->waiter);
        waiter->release();
      }
      if (std::exchange(upkeep_due_, false) && connection_) connection_->upkeep();
      lock.lock();
    }
    turn_ = Turn::nobody;
    if (stopping_) turn_free_.notify_one();
  }
}

GroupWriter::Group GroupWriter::take() {
  const auto count = std::min(queue_.size(), max_group);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  Group group(queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  return group;
}

void GroupWriter::carry(const Group& group) {
  if (group.empty()) return;
  at_work_ = std::this_thread::get_id();
  commit(group);
  upkeep_due_ = connection_ && connection_->upkeep_due();
  at_work_ = std::thread::id();
}

void GroupWriter::commit(const Group& group) {
  if (auto ready = reconnect(); !ready) return abandon(group, ready.error());
  connection_->clear_failure();
  auto kept = run(group);
  if (!kept && kept.error().code == ErrorCode::busy && connection_ && connection_->is_idle()) return refuse(group, kept.error());
  if (!kept) return abandon(group, kept.error());
  if (*kept == 0) {
    if (auto done = connection_->roll_back(); !done) abandon(group, done.error());
    return;
  }
  fault_point("storage.before_commit");
  if (auto done = connection_->commit(); !done) return abandon(group, done.error());
  fault_point("storage.committed");
  for (auto* request : group) {
    if (!request->status) continue;
    for (const auto& done : request->committed) done();
  }
  if (auto hooked = run_hooks(); !hooked) {
    for (auto* request : group) {
      if (request->status) request->status = hooked.error();
    }
  }
  fault_point("storage.before_release");
}

Result<std::size_t> GroupWriter::run(const Group& group) {
  if (auto begun = begin(); !begun) return begun.error();
  std::size_t kept = 0;
  for (auto* request : group) {
    if (auto ran = run_one(*request, group.size() == 1); !ran) return ran.error();
    if (request->status) ++kept;
  }
  return kept;
}

/// A connection that was lost since the last commit is made anew: nothing of this transaction was tried yet.
Status GroupWriter::begin() {
  auto begun = connection_->begin();
  if (begun || !connection_->failure()) return begun;
  connection_.reset();
  if (auto ready = reconnect(); !ready) return ready;
  return connection_->begin();
}

/// Makes a connection where there is none.
Status GroupWriter::reconnect() {
  if (connection_) return {};
  auto opened = connect_();
  if (!opened) return opened.error();
  connection_ = std::move(*opened);
  log::info("storage.reopened", {{"database", name_}});
  return {};
}

Status GroupWriter::run_one(Request& request, bool alone) {
  // A work that is alone needs no savepoint: when it is refused, the whole transaction is rolled back.
  if (!alone) {
    if (auto set = statement("SAVEPOINT work"); !set) return set.error();
  }
  WriterTransaction transaction(*connection_, request.committed);
  try {
    request.status = request.work(transaction);
  } catch (const std::exception& exception) {
    request.status = Error{ErrorCode::internal, std::string("storage: an exception left a transaction: ") + exception.what()};
  }
  if (connection_->failure()) return *connection_->failure();
  if (connection_->is_idle()) return Error{ErrorCode::storage_unavailable, "storage: the transaction was ended from inside"};
  if (request.status && connection_->is_aborted())
    request.status = Error{ErrorCode::storage_unavailable, "storage: a statement failed, and the work overlooked it"};
  if (alone) return {};
  if (!request.status) {
    if (auto undone = statement("ROLLBACK TO work"); !undone) return undone.error();
  }
  return statement("RELEASE work");
}

Status GroupWriter::run_hooks() {
  const std::lock_guard lock(hooks_mutex_);
  Status first;
  for (const auto& hook : hooks_) {
    auto done = hook();
    if (!done && first) first = done.error();
  }
  return first;
}

void GroupWriter::refuse(const Group& group, const Error& busy) {
  for (auto* request : group) request->status = busy;
  log::warn("storage.busy", {{"database", name_}, {"detail", busy.detail}});
}

void GroupWriter::abandon(const Group& group, const Error& error) {
  for (auto* request : group) request->status = Error{ErrorCode::storage_unavailable, error.detail};
  // A fresh connection forgets what the failed one may have half done, and one that fell back to read-only access.
  connection_.reset();
  log::error("storage.commit_failed", {{"database", name_}, {"detail", error.detail}});
}

Status GroupWriter::statement(std::string_view sql) {
  auto done = connection_->execute(sql, {});
  if (!done) return done.error();
  return {};
}

}  // namespace intaglio::storage
