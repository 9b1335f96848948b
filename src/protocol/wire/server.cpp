#include <openssl/ssl.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <map>

#include "base/check.h"
#include "base/log.h"
#include "base/secret.h"
#include "protocol/wire/calls.h"
#include "protocol/wire/frame.h"
#include "protocol/wire/tls.h"

/// All of Asio in this room. Each worker is one thread with an event loop of its own and a share of the connections: what has read a
/// whole frame serves it on the spot and writes the answer, so a call costs no change of thread and no lock of ours. The pool is
/// bounded, and so is what waits: one request a connection. Accepting, the watch over deadlines and the stop have a thread of their own.
namespace intaglio::protocol::wire {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, Executor>;

constexpr std::size_t resting_buffer_bytes = 16 * 1024;
constexpr auto handshake_timeout = std::chrono::seconds(5);
constexpr auto transfer_timeout = std::chrono::seconds(10);
constexpr auto sweep_interval = std::chrono::milliseconds(500);
constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr auto longest_stop = std::chrono::seconds(30);

/// At most one line a second, so that a stranger who keeps knocking does not fill the log.
class Occasional {
 public:
  bool due() {
    const auto now = steady_clock::now().time_since_epoch().count();
    auto last = last_.load();
    return now - last >= steady_clock::duration(std::chrono::seconds(1)).count() && last_.compare_exchange_strong(last, now);
  }

 private:
  std::atomic<steady_clock::rep> last_{0};
};

/// The message of a frame in, the whole frame of the answer out; never throws.
using Serve = std::function<Bytes(const crypto::Sha256Digest& peer_spki, ByteView message)>;

class Connection;

/// Who is connected: counts them for the caps, and finds them for the sweep and the stop.
class Registry {
 public:
  explicit Registry(unsigned most_per_peer) : most_per_peer_(most_per_peer) {}
  /// False when as many connections of this key as may be are there; else one more is, until `leave`.
  [[nodiscard]] bool enter(const crypto::Sha256Digest& peer) {
    const std::lock_guard lock(mutex_);
    auto& there = peers_[peer];
    if (refused_by("wire.connections-per-peer", there >= most_per_peer_)) return false;
    ++there;
    return true;
  }
  void leave(const crypto::Sha256Digest& peer) {
    const std::lock_guard lock(mutex_);
    const auto there = peers_.find(peer);
    if (there != peers_.end() && --there->second == 0) peers_.erase(there);
  }
  void add(const std::shared_ptr<Connection>& connection) {
    const std::lock_guard lock(mutex_);
    connections_.emplace(connection.get(), connection);
  }
  void remove(Connection* connection) {
    const std::lock_guard lock(mutex_);
    connections_.erase(connection);
    if (connections_.empty()) empty_.notify_all();
  }
  [[nodiscard]] std::size_t size() {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> all() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Connection>> found;
    for (const auto& [address, weak] : connections_) {
      if (auto connection = weak.lock()) found.push_back(std::move(connection));
    }
    return found;
  }
  bool wait_until_empty(std::chrono::seconds longest) {
    std::unique_lock lock(mutex_);
    return empty_.wait_for(lock, longest, [this] { return connections_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  std::unordered_map<Connection*, std::weak_ptr<Connection>> connections_;
  const unsigned most_per_peer_;
  std::map<crypto::Sha256Digest, unsigned> peers_;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, asio::ssl::context& tls, const Serve& serve, Registry& registry, Occasional& complaints,
             std::atomic<unsigned>& load, std::chrono::milliseconds longest_rest)
      : stream_(std::move(socket), tls),
        serve_(serve),
        registry_(registry),
        complaints_(complaints),
        load_(load),
        longest_rest_(longest_rest) {
    ++load_;
  }
  ~Connection() {
    --load_;
    if (entered_) registry_.leave(peer_);
    registry_.remove(this);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Called by the thread that accepts; all else happens on the worker's.
  void begin() {
    due_in(handshake_timeout);
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->shake_hands(); });
  }

  /// Called from the sweep, on any thread.
  void close_when_overdue(steady_clock::time_point now) {
    if (now.time_since_epoch().count() < deadline_.load(std::memory_order_relaxed)) return;
    asio::post(stream_.get_executor(), [self = shared_from_this(), now] {
      if (now.time_since_epoch().count() >= self->deadline_.load(std::memory_order_relaxed)) self->close();
    });
  }
  /// Ends at once when nothing is under way, else after the answer.
  void stop() {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->stopping_ = true;
      if (self->have_ == 0) self->close();
    });
  }

 private:
  template <typename Duration>
  void due_in(Duration duration) {
    deadline_.store((steady_clock::now() + duration).time_since_epoch().count(), std::memory_order_relaxed);
  }

  void shake_hands() {
    error_code ignored;
    stream_.next_layer().set_option(tcp::no_delay(true), ignored);
    stream_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](const error_code& failed) {
      if (failed) return self->refuse("wire.peer_refused", failed);
      const auto peer = peer_spki(self->stream_.native_handle());
      if (!peer) return self->refuse("wire.peer_refused", peer.error().detail);
      self->peer_ = *peer;
      self->entered_ = self->registry_.enter(*peer);
      if (!self->entered_) return self->refuse("wire.peer_refused", "too many connections of one key");
      self->rest();
    });
  }

  void rest() {
    if (stopping_) return close();
    have_ = 0;
    if (buffer_.size() != resting_buffer_bytes) Bytes(resting_buffer_bytes).swap(buffer_);
    due_in(longest_rest_);
    read_more();
  }

  void read_more() {
    stream_.async_read_some(asio::buffer(buffer_.data() + have_, buffer_.size() - have_),
                            [self = shared_from_this()](const error_code& failed, std::size_t count) {
                              if (failed) return self->close();
                              self->have_more(count);
                            });
  }

  void have_more(std::size_t count) {
    if (have_ == 0) due_in(transfer_timeout);
    have_ += count;
    if (have_ < frame_header_bytes) return read_more();
    const auto length = parse_frame_length(ByteView(buffer_).first(frame_header_bytes));
    if (!length) return refuse("wire.frame_refused", length.error().detail);
    const std::size_t whole = frame_header_bytes + *length;
    if (have_ > whole) return refuse("wire.frame_refused", "a request before the answer to the last one");
    if (buffer_.size() < whole) buffer_.resize(whole);
    if (have_ < whole) return read_more();
    answer(ByteView(buffer_).subspan(frame_header_bytes, *length));
  }

  void answer(ByteView message) {
    deadline_.store(std::numeric_limits<steady_clock::rep>::max(), std::memory_order_relaxed);
    answer_ = serve_(peer_, message);
    wipe(std::span(buffer_).first(have_));
    due_in(transfer_timeout);
    asio::async_write(stream_, asio::buffer(answer_), [self = shared_from_this()](const error_code& failed, std::size_t) {
      if (failed) return self->close();
      self->rest();
    });
  }

  void refuse(std::string_view event, const error_code& failed) { refuse(event, failed.message()); }
  void refuse(std::string_view event, const std::string& reason) {
    if (complaints_.due()) {
      error_code unknown;
      const auto peer = stream_.next_layer().remote_endpoint(unknown);
      log::warn(event, {{"peer", unknown ? "?" : peer.address().to_string()}, {"reason", reason}});
    }
    close();
  }
  void close() {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

  asio::ssl::stream<Socket> stream_;
  const Serve& serve_;
  crypto::Sha256Digest peer_{};  ///< SPKI of the peer's leaf
  Registry& registry_;
  Occasional& complaints_;
  std::atomic<unsigned>& load_;
  const std::chrono::milliseconds longest_rest_;
  std::atomic<steady_clock::rep> deadline_{std::numeric_limits<steady_clock::rep>::max()};
  Bytes buffer_;
  Bytes answer_;
  std::size_t have_ = 0;  ///< bytes of the frame that is being read or answered; 0 while at rest
  bool stopping_ = false;
  bool entered_ = false;  ///< counted among the connections of its key
};

/// A thread and its event loop.
class Worker {
 public:
  Worker() : work_(io_.get_executor()), thread_([this] { run(); }) {}
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] asio::io_context& io() noexcept { return io_; }
  [[nodiscard]] std::atomic<unsigned>& load() noexcept { return load_; }

 private:
  void run() {
    while (!io_.stopped()) {
      try {
        io_.run();
      } catch (const std::exception& exception) {
        log::error("wire.connection_failed", {{"reason", exception.what()}});
      }
    }
  }
  std::atomic<unsigned> load_{0};
  asio::io_context io_{1};
  asio::executor_work_guard<Executor> work_;
  std::thread thread_;
};

}  // namespace

struct Server::State {
  State(const ServerConfig& wanted, Serve what, TlsContext context)
      : config(wanted),
        serve(std::move(what)),
        tls_context(std::move(context)),
        tls(borrowed(tls_context.native())),
        registry(config.max_connections_per_peer) {}

  // Asio frees the context that it is given; ours lives as long as the pins do.
  static SSL_CTX* borrowed(SSL_CTX* context) {
    SSL_CTX_up_ref(context);
    return context;
  }

  Status open() {
    error_code failed;
    const auto address = asio::ip::make_address(config.address, failed);
    if (!failed) acceptor.open(address.is_v6() ? tcp::v6() : tcp::v4(), failed);
    if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) acceptor.bind({address, config.port}, failed);
    if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (!failed) port = acceptor.local_endpoint(failed).port();
    if (failed) return Error{ErrorCode::configuration, "wire: cannot listen on " + config.address + ": " + failed.message()};
    for (unsigned i = 0; i < config.workers; ++i) workers.push_back(std::make_unique<Worker>());
    asio::post(acceptor.get_executor(), [this] {
      accept();
      sweep();
    });
    return {};
  }

  Worker& least_loaded() {
    return **std::min_element(workers.begin(), workers.end(),
                              [](const auto& left, const auto& right) { return left->load() < right->load(); });
  }

  void accept() {
    auto& worker = least_loaded();
    acceptor.async_accept(worker.io(), [this, &worker](const error_code& failed, Socket socket) {
      if (!acceptor.is_open()) return;
      if (failed) return pause(failed);
      if (registry.size() < config.max_connections) {
        auto connection =
            std::make_shared<Connection>(std::move(socket), tls, serve, registry, complaints, worker.load(), config.longest_rest);
        registry.add(connection);
        connection->begin();
      } else if (complaints.due()) {
        log::warn("wire.too_many_connections", {{"limit", std::to_string(config.max_connections)}});
      }
      accept();
    });
  }

  /// Out of descriptors, for example: accepting again at once would only spin.
  void pause(const error_code& failed) {
    if (complaints.due()) log::warn("wire.accept_failed", {{"reason", failed.message()}});
    pause_timer.expires_after(accept_pause);
    pause_timer.async_wait([this](const error_code& cancelled) {
      if (!cancelled && acceptor.is_open()) accept();
    });
  }

  void sweep() {
    sweep_timer.expires_after(sweep_interval);
    sweep_timer.async_wait([this](const error_code& cancelled) {
      if (cancelled) return;
      for (const auto& connection : registry.all()) connection->close_when_overdue(steady_clock::now());
      sweep();
    });
  }

  void stop() {
    if (workers.empty() || std::exchange(stopped, true)) return;
    std::promise<void> closed;
    asio::post(acceptor.get_executor(), [this, &closed] {
      error_code ignored;
      acceptor.close(ignored);
      pause_timer.cancel();
      sweep_timer.cancel();
      for (const auto& connection : registry.all()) connection->stop();
      closed.set_value();
    });
    closed.get_future().wait();
    if (!registry.wait_until_empty(longest_stop)) log::warn("wire.stopped_under_way");
    front.stop();
    for (const auto& worker : workers) worker->stop();
  }

  const ServerConfig config;
  const Serve serve;
  TlsContext tls_context;
  asio::ssl::context tls;
  Registry registry;
  Occasional complaints;
  // Ended from the last to the first: what still waits in the front's loop holds a socket of one of the workers.
  std::vector<std::unique_ptr<Worker>> workers;
  Worker front;
  Acceptor acceptor{front.io()};
  Timer pause_timer{front.io()};
  Timer sweep_timer{front.io()};
  std::uint16_t port = 0;
  bool stopped = false;
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() { stop(); }

Result<std::unique_ptr<Server>> Server::open(const ServerConfig& config, TlsPeers peers, Serving serving) {
  if (config.workers == 0 || config.max_connections == 0)
    return Error{ErrorCode::configuration, "wire: at least one worker and one connection"};
  auto tls = TlsContext::create(TlsSide::server, config.identity, std::move(peers));
  if (!tls) return tls.error();
  try {
    auto state = std::make_unique<State>(config, std::move(serving), *std::move(tls));
    if (auto opened = state->open(); !opened) return opened.error();
    return std::unique_ptr<Server>(new Server(std::move(state)));
  } catch (const std::exception& exception) {
    return Error{ErrorCode::configuration, std::string("wire: ") + exception.what()};
  }
}

Result<std::unique_ptr<Server>> Server::start(const ServerConfig& config, std::shared_ptr<SamService> service) {
  if (!service) return Error{ErrorCode::configuration, "wire: no service"};
  auto peers = one_of(config.pinned_peers);
  if (!peers) return peers.error();
  return open(config, *std::move(peers),
              [sam = std::move(service)](const crypto::Sha256Digest&, ByteView message) { return serve(*sam, message); });
}

Result<std::unique_ptr<Server>> Server::start(const ServerConfig& config, std::shared_ptr<ManagementService> service) {
  if (!service || !config.pinned_peers.empty()) return Error{ErrorCode::configuration, "wire: a service that knows its peers, and no pins"};
  auto peers = [service](const crypto::Sha256Digest& peer) { return service->knows(peer); };
  return open(config, std::move(peers), [service = std::move(service)](const crypto::Sha256Digest& peer, ByteView message) {
    return serve(*service, peer, message);
  });
}

std::uint16_t Server::port() const noexcept { return state_->port; }
void Server::stop() { state_->stop(); }

}  // namespace intaglio::protocol::wire
