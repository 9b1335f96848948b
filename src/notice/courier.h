#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "notice/outbox.h"

namespace intaglio::notice {

/// Empties an outbox on a thread of its own, from its making to its end.
class Courier {
 public:
  /// Looks for what is due once in every `interval`, of the steady clock: when a notice is due, the outbox's clock says.
  explicit Courier(std::shared_ptr<Outbox> outbox, std::chrono::milliseconds interval = std::chrono::seconds(1));
  /// Waits for the notice that is being delivered, at most as long as its notifier may take.
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;
  /// No notice is begun any more; does not wait. For any thread.
  void stop();

 private:
  void run();

  std::shared_ptr<Outbox> outbox_;
  std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace intaglio::notice
