#include "net/front.h"

#include <boost/asio/post.hpp>
#include <future>

#include "base/log.h"

namespace intaglio::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr auto accept_pause = std::chrono::milliseconds(100);

}  // namespace

Front::Front(Config config, Registry& registry, Occasional& complaints)
    : config_(std::move(config)),
      registry_(registry),
      complaints_(complaints),
      loop_(config_.service),
      acceptor_(loop_.io()),
      pause_timer_(loop_.io()),
      sweep_timer_(loop_.io()) {}

// The thread ends before the members that its handlers use.
Front::~Front() { loop_.stop(); }

Status Front::open() {
  error_code failed;
  const auto address = asio::ip::make_address(config_.address, failed);
  if (!failed) acceptor_.open(address.is_v6() ? tcp::v6() : tcp::v4(), failed);
  if (!failed) acceptor_.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed) acceptor_.bind({address, config_.port}, failed);
  if (!failed) acceptor_.listen(asio::socket_base::max_listen_connections, failed);
  if (!failed) port_ = acceptor_.local_endpoint(failed).port();
  if (failed) return Error{ErrorCode::configuration, config_.service + ": cannot listen on " + config_.address + ": " + failed.message()};
  return {};
}

void Front::begin(Hosts hosts, std::function<void()> swept) {
  hosts_ = std::move(hosts);
  swept_ = std::move(swept);
  asio::post(acceptor_.get_executor(), [this] {
    accept();
    sweep();
  });
}

void Front::accept() {
  acceptor_.async_accept(hosts_.next_loop(), [this](const error_code& failed, Socket socket) {
    if (!acceptor_.is_open()) return;
    if (failed) return pause(failed.message());
    if (registry_.size() < config_.max_connections) {
      hosts_.welcome(std::move(socket));
    } else {
      complain(".too_many_connections", "limit", std::to_string(config_.max_connections));
    }
    accept();
  });
}

/// Out of descriptors, for example: accepting again at once would only spin.
void Front::pause(const std::string& reason) {
  complain(".accept_failed", "reason", reason);
  pause_timer_.expires_after(accept_pause);
  pause_timer_.async_wait([this](const error_code& cancelled) {
    if (!cancelled && acceptor_.is_open()) accept();
  });
}

void Front::sweep() {
  swept_();
  for (const auto& connection : registry_.all()) connection->close_when_overdue(steady_clock::now());
  sweep_timer_.expires_after(config_.sweep_interval);
  sweep_timer_.async_wait([this](const error_code& cancelled) {
    if (!cancelled) sweep();
  });
}

void Front::complain(std::string_view event, std::string_view name, const std::string& value) {
  if (complaints_.due()) log::warn(config_.service + std::string(event), {{name, value}});
}

bool Front::stop(std::chrono::seconds grace) {
  std::promise<void> closed;
  asio::post(acceptor_.get_executor(), [this, &closed] {
    error_code ignored;
    acceptor_.close(ignored);
    pause_timer_.cancel();
    for (const auto& connection : registry_.all()) connection->stop();
    closed.set_value();
  });
  closed.get_future().wait();
  const bool empty = registry_.wait_until_empty(grace);
  loop_.stop();
  return empty;
}

}  // namespace intaglio::net
