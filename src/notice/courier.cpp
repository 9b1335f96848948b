#include "notice/courier.h"

#include "base/log.h"

namespace intaglio::notice {

Courier::Courier(std::shared_ptr<Outbox> outbox, std::chrono::milliseconds interval)
    : outbox_(std::move(outbox)), interval_(interval), thread_([this] { run(); }) {}

Courier::~Courier() {
  stop();
  thread_.join();
}

void Courier::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
}

void Courier::run() {
  // Between two notices, too: a receiver that stalls takes its whole time for each of a batch.
  const auto stopped = [this] {
    const std::lock_guard lock(mutex_);
    return stop_;
  };
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    if (const auto tried = outbox_->deliver_due(stopped); !tried) log::refusal("notice.outbox", tried.error());
    lock.lock();
    stopped_.wait_for(lock, interval_, [this] { return stop_; });
  }
}

}  // namespace intaglio::notice
