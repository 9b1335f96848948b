#include "storage/sqlite/writer.h"

#include <semaphore>

#include "base/check.h"
#include "base/log.h"

namespace intaglio::storage::sqlite {

namespace {

constexpr std::size_t max_waiting = 4096;
constexpr std::size_t max_group = 256;
/// 16 MiB of 4 KiB pages: large enough that a page which is written often is copied rarely.
constexpr int checkpoint_frames = 4096;

/// What a calling thread sleeps on. Shared, because the writer may still be inside release() when the caller is gone.
struct Waiter {
  std::binary_semaphore done{0};
};

std::shared_ptr<Waiter> waiter_of_this_thread() {
  thread_local const auto waiter = std::make_shared<Waiter>();
  return waiter;
}

class WriterTransaction final : public Transaction {
 public:
  explicit WriterTransaction(Connection& connection) : connection_(connection) {}
  Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) override {
    return connection_.query(sql, parameters, each);
  }
  Result<std::int64_t> execute(std::string_view sql, Parameters parameters) override { return connection_.execute(sql, parameters); }

 private:
  Connection& connection_;
};

}  // namespace

struct Writer::Request {
  const std::function<Status(Transaction&)>& work;
  std::shared_ptr<Waiter> waiter;
  Status status;
};

Writer::Writer(std::filesystem::path path, std::unique_ptr<Connection> connection)
    : path_(std::move(path)), connection_(std::move(connection)), checkpoint_at_(checkpoint_frames), thread_([this] { serve(); }) {}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_waits_.notify_all();
  thread_.join();
}

Status Writer::write(const std::function<Status(Transaction&)>& work) {
  if (std::this_thread::get_id() == thread_.get_id()) panic("storage: write() inside write() or inside a commit hook");
  const auto waiter = waiter_of_this_thread();
  Request request{work, waiter, {}};
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Error{ErrorCode::storage_unavailable, "storage: the database is being closed"};
    if (queue_.size() >= max_waiting) return Error{ErrorCode::busy, "storage: too many callers wait for the writer"};
    queue_.push_back(&request);
  }
  work_waits_.notify_one();
  waiter->done.acquire();
  return std::move(request.status);
}

void Writer::on_commit(std::function<Status()> hook) {
  const std::lock_guard lock(hooks_mutex_);
  hooks_.push_back(std::move(hook));
}

void Writer::serve() {
  Group group;
  while (take(group)) {
    commit(group);
    // The request dies with its caller's stack frame as soon as it is released.
    for (auto* request : group) {
      const auto waiter = std::move(request->waiter);
      waiter->done.release();
    }
    checkpoint_when_due();
  }
}

bool Writer::take(Group& group) {
  group.clear();
  std::unique_lock lock(mutex_);
  work_waits_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  while (!queue_.empty() && group.size() < max_group) {
    group.push_back(queue_.front());
    queue_.pop_front();
  }
  return !group.empty();
}

void Writer::commit(const Group& group) {
  if (!connection_) {
    auto opened = Connection::open(path_, Access::read_write);
    if (!opened) return abandon(group, opened.error());
    connection_ = std::move(*opened);
    log::info("storage.reopened", {{"path", path_.string()}});
  }
  connection_->clear_failure();
  auto kept = run(group);
  if (!kept) return abandon(group, kept.error());
  if (*kept == 0) {
    if (auto done = statement("ROLLBACK"); !done) abandon(group, done.error());
    return;
  }
  fault_point("storage.before_commit");
  if (auto done = statement("COMMIT"); !done) return abandon(group, done.error());
  fault_point("storage.committed");
  if (auto hooked = run_hooks(); !hooked) {
    for (auto* request : group) {
      if (request->status) request->status = hooked.error();
    }
  }
  fault_point("storage.before_release");
}

Result<std::size_t> Writer::run(const Group& group) {
  if (auto begun = statement("BEGIN IMMEDIATE"); !begun) return begun.error();
  std::size_t kept = 0;
  for (auto* request : group) {
    if (auto ran = run_one(*request, group.size() == 1); !ran) return ran.error();
    if (request->status) ++kept;
  }
  return kept;
}

Status Writer::run_one(Request& request, bool alone) {
  // A work that is alone needs no savepoint: when it is refused, the whole transaction is rolled back.
  if (!alone) {
    if (auto set = statement("SAVEPOINT work"); !set) return set.error();
  }
  WriterTransaction transaction(*connection_);
  try {
    request.status = request.work(transaction);
  } catch (const std::exception& exception) {
    request.status = Error{ErrorCode::internal, std::string("storage: an exception left a transaction: ") + exception.what()};
  }
  if (connection_->failure()) return *connection_->failure();
  if (connection_->is_idle()) return Error{ErrorCode::storage_unavailable, "storage: the transaction was ended from inside"};
  if (alone) return {};
  if (!request.status) {
    if (auto undone = statement("ROLLBACK TO work"); !undone) return undone.error();
  }
  return statement("RELEASE work");
}

Status Writer::run_hooks() {
  const std::lock_guard lock(hooks_mutex_);
  Status first;
  for (const auto& hook : hooks_) {
    auto done = hook();
    if (!done && first) first = done.error();
  }
  return first;
}

void Writer::abandon(const Group& group, const Error& error) {
  for (auto* request : group) request->status = Error{ErrorCode::storage_unavailable, error.detail};
  // A fresh connection forgets what the failed one may have half done, and one that fell back to read-only access.
  connection_.reset();
  log::error("storage.commit_failed", {{"path", path_.string()}, {"detail", error.detail}});
}

void Writer::checkpoint_when_due() {
  if (!connection_) return;
  const int frames = connection_->log_frames();
  if (frames < last_frames_) checkpoint_at_ = checkpoint_frames;
  last_frames_ = frames;
  if (frames < checkpoint_at_) return;
  if (auto done = connection_->checkpoint(); !done) log::refusal("storage.checkpoint_failed", done.error(), {{"path", path_.string()}});
  checkpoint_at_ = frames + checkpoint_frames;
}

Status Writer::statement(std::string_view sql) {
  auto done = connection_->execute(sql, {});
  if (!done) return done.error();
  return {};
}

}  // namespace intaglio::storage::sqlite
