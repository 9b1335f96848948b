#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace intaglio::http {

/// A fixed number of threads and a queue of bounded length: what does not fit is refused at once, so that load is shed where it arises.
/// The thread that came to rest last gets the next job: few threads with warm caches do the work of a lightly loaded server.
class WorkerPool {
 public:
  WorkerPool(unsigned workers, std::size_t max_queue);
  /// Ends after the jobs that are under way; what still waits is dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  [[nodiscard]] bool submit(std::function<void()> job);

 private:
  using Job = std::function<void()>;
  /// A thread at rest, and the job that it is woken with.
  struct Resting {
    std::condition_variable woken;
    Job job;
  };

  void run();
  /// The next job, or nothing at the end.
  [[nodiscard]] Job take(Resting& self);

  std::mutex mutex_;
  std::vector<Resting*> resting_;
  std::deque<Job> queue_;
  const std::size_t max_queue_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace intaglio::http
