#include "http/worker_pool.h"

#include <exception>
#include <utility>

#include "base/log.h"

namespace intaglio::http {

WorkerPool::WorkerPool(unsigned workers, std::size_t max_queue) : max_queue_(max_queue) {
  for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    queue_.clear();
    for (auto* worker : resting_) worker->woken.notify_one();
  }
  for (auto& thread : threads_) thread.join();
}

bool WorkerPool::submit(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (ending_) return false;
  if (!resting_.empty()) {
    auto* worker = resting_.back();
    resting_.pop_back();
    worker->job = std::move(job);
    worker->woken.notify_one();
    return true;
  }
  if (queue_.size() >= max_queue_) return false;
  queue_.push_back(std::move(job));
  return true;
}

WorkerPool::Job WorkerPool::take(Resting& self) {
  std::unique_lock lock(mutex_);
  if (!ending_ && queue_.empty()) {
    resting_.push_back(&self);
    self.woken.wait(lock, [&] { return ending_ || self.job; });
    return std::exchange(self.job, nullptr);
  }
  if (queue_.empty()) return nullptr;
  auto job = std::move(queue_.front());
  queue_.pop_front();
  return job;
}

void WorkerPool::run() {
  Resting self;
  while (const auto job = take(self)) {
    try {
      job();
    } catch (const std::exception& exception) {
      log::error("http.job_failed", {{"reason", exception.what()}});
    }
  }
}

}  // namespace intaglio::http
