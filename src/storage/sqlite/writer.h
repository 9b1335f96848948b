#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "storage/sqlite/connection.h"

namespace intaglio::storage::sqlite {

/// The only read-write connection and the thread that owns it. Work that waits while a commit is on its way goes into the next
/// one together, each in a savepoint; so the rate grows with the callers while each commit costs one flush.
class Writer {
 public:
  Writer(std::filesystem::path path, std::unique_ptr<Connection> connection);
  /// Finishes what was accepted.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Status write(const std::function<Status(Transaction&)>& work);
  void on_commit(std::function<Status()> hook);

 private:
  struct Request;
  using Group = std::vector<Request*>;

  void serve();
  /// False when there is nothing left to do.
  [[nodiscard]] bool take(Group& group);
  void commit(const Group& group);
  /// Runs each work; how many are to be kept, or the failure that spoils the transaction.
  [[nodiscard]] Result<std::size_t> run(const Group& group);
  Status run_one(Request& request, bool alone);
  Status run_hooks();
  void abandon(const Group& group, const Error& error);
  void checkpoint_when_due();
  Status statement(std::string_view sql);

  const std::filesystem::path path_;
  std::unique_ptr<Connection> connection_;
  int last_frames_ = 0;
  int checkpoint_at_;

  std::mutex hooks_mutex_;
  std::vector<std::function<Status()>> hooks_;

  std::mutex mutex_;
  std::condition_variable work_waits_;
  std::deque<Request*> queue_;
  bool stopping_ = false;
  std::jthread thread_;
};

}  // namespace intaglio::storage::sqlite
