#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace intaglio::net {

/// One peer of a server. It lives as long as a handler of its loop holds it, and takes itself out of the registry when it ends.
class Connection {
 public:
  Connection() = default;
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// From the sweep, on any thread: what is to be done, the connection does on its own loop.
  virtual void close_when_overdue(std::chrono::steady_clock::time_point now) = 0;
  /// From the stop, on any thread: ends at once when nothing is under way, else after the answer.
  virtual void stop() = 0;
};

/// Until when a connection may go on as it is: set on its own loop or worker, read by the sweep.
class Deadline {
 public:
  template <typename Duration>
  void in(Duration duration) noexcept {
    at(std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
  }
  void at(std::chrono::steady_clock::time_point moment) noexcept {
    ticks_.store(moment.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void never() noexcept { ticks_.store(no_deadline, std::memory_order_relaxed); }
  [[nodiscard]] bool passed(std::chrono::steady_clock::time_point now) const noexcept {
    return now.time_since_epoch().count() >= ticks_.load(std::memory_order_relaxed);
  }

 private:
  using Ticks = std::chrono::steady_clock::rep;
  static constexpr Ticks no_deadline = std::numeric_limits<Ticks>::max();
  std::atomic<Ticks> ticks_{no_deadline};
};

/// Who is connected: counted for the cap, found for the sweep and the stop.
class Registry {
 public:
  void add(const std::shared_ptr<Connection>& connection);
  void remove(const Connection* connection);
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> all() const;
  /// False when some are still there after `longest`.
  [[nodiscard]] bool wait_until_empty(std::chrono::seconds longest);

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections_;
};

}  // namespace intaglio::net
