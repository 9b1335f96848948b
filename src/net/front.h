#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "net/connection.h"
#include "net/loop.h"
#include "net/occasional.h"

namespace intaglio::net {

/// The door of a server, with a thread of its own: accepts up to a cap, watches over deadlines, and stops.
class Front {
 public:
  struct Config {
    std::string service;  ///< names the lines in the log, as for Loop
    std::string address;
    std::uint16_t port = 0;  ///< 0: any free one, see port()
    std::size_t max_connections = 0;
    std::chrono::milliseconds sweep_interval{};
  };
  /// Both run on the front's thread. `next_loop` says to whom the next connection belongs; `welcome` makes it, puts it into the registry and
  /// begins it.
  struct Hosts {
    std::function<boost::asio::io_context&()> next_loop;
    std::function<void(Socket)> welcome;
  };

  /// `registry` and the loops outlive the front: what still waits in its own loop holds a socket of one of them.
  Front(Config config, Registry& registry, Occasional& complaints);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  /// Listens from now on; `configuration` when it cannot.
  Status open();
  /// Accepts from now on, and sweeps. Once, after open. `swept` runs with each sweep.
  void begin(Hosts hosts, std::function<void()> swept);
  /// No new connection, idle ones closed; false when others were still under way after `grace`. The loops may stop then.
  [[nodiscard]] bool stop(std::chrono::seconds grace);
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;

  void accept();
  void pause(const std::string& reason);
  void sweep();
  void complain(std::string_view event, std::string_view name, const std::string& value);

  const Config config_;
  Registry& registry_;
  Occasional& complaints_;
  Hosts hosts_;
  std::function<void()> swept_;
  Loop loop_;
  Acceptor acceptor_;
  Timer pause_timer_;
  Timer sweep_timer_;
  std::uint16_t port_ = 0;
};

}  // namespace intaglio::net
