#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "storage/connection.h"

namespace intaglio::storage {

/// The only read-write connection. A caller who finds it free commits by himself, which costs no change of thread; what arrives
/// meanwhile is carried on by a thread of ours, all that waits in one commit, each work in a savepoint, until nothing waits: so the
/// rate grows with the callers while each commit costs one flush.
class GroupWriter {
 public:
  /// `name`: of the database, for the log. `connect` makes another connection after a failed one.
  GroupWriter(std::string name, Connect connect, std::unique_ptr<Connection> connection);
  /// Finishes what was accepted.
  ~GroupWriter();
  GroupWriter(const GroupWriter&) = delete;
  GroupWriter& operator=(const GroupWriter&) = delete;

  Status write(const std::function<Status(Transaction&)>& work);
  void on_commit(std::function<Status()> hook);

 private:
  struct Request;
  using Group = std::vector<Request*>;

  void serve();
  /// With the lock held: what waits, up to a bound.
  [[nodiscard]] Group take();
  /// Commits and runs the hooks, by the one who has the turn.
  void carry(const Group& group);
  void commit(const Group& group);
  /// Runs each work; how many are to be kept, or the failure that spoils the transaction.
  [[nodiscard]] Result<std::size_t> run(const Group& group);
  Status run_one(Request& request, bool alone);
  Status run_hooks();
  void refuse(const Group& group, const Error& busy);  ///< nothing was begun, and the connection is as good as before
  void abandon(const Group& group, const Error& error);
  Status begin();
  Status reconnect();
  Status statement(std::string_view sql);

  const std::string name_;
  const Connect connect_;

  std::mutex hooks_mutex_;
  std::vector<std::function<Status()>> hooks_;

  // Of the thread that has the turn.
  std::unique_ptr<Connection> connection_;
  bool upkeep_due_ = false;
  std::atomic<std::thread::id> at_work_;

  std::mutex mutex_;
  std::deque<Request*> queue_;
  enum class Turn { nobody, caller, writer } turn_ = Turn::nobody;
  bool stopping_ = false;
  std::condition_variable turn_free_;
  std::condition_variable work_waits_;
  std::thread thread_;
};

}  // namespace intaglio::storage
