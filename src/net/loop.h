#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <thread>

namespace intaglio::net {

/// Asio's types without type erasure of the executor, which would cost an allocation a handler.
using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

/// A thread and its event loop. What a handler throws is logged and ends nothing else.
class Loop {
 public:
  /// `service` names the lines in the log: "http" writes `http.connection_failed`.
  explicit Loop(std::string service);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// Waits for the handler that runs; what has not begun never runs.
  void stop();
  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }

 private:
  void run();

  const std::string service_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<Executor> work_;
  std::thread thread_;
};

}  // namespace intaglio::net
