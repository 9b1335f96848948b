#include "notice/courier.h"

#include "base/log.h"

namespace intaglio::notice {

Courier::Courier(std::shared_ptr<Outbox> outbox, std::chrono::milliseconds interval)
    : outbox_(std::move(outbox)), interval_(interval), thread_([this] { run(); }) {}

Courier::~Courier() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void Courier::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    if (const auto tried = outbox_->deliver_due(); !tried) log::refusal("notice.outbox", tried.error());
    lock.lock();
    stopped_.wait_for(lock, interval_, [this] { return stop_; });
  }
}

}  // namespace intaglio::notice
