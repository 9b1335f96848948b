#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace intaglio::http {

/// A fixed number of threads and a queue of bounded length: what does not fit is refused at once, so that load is shed where it arises.
class WorkerPool {
 public:
  WorkerPool(unsigned workers, std::size_t max_queue);
  /// Ends after the jobs that are under way; what still waits is dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  [[nodiscard]] bool submit(std::function<void()> job);

 private:
  void run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  const std::size_t max_queue_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace intaglio::http
