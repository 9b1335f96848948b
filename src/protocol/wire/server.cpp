#include <openssl/ssl.h>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <map>

#include "base/check.h"
#include "base/log.h"
#include "base/secret.h"
#include "net/front.h"
#include "protocol/wire/calls.h"
#include "protocol/wire/frame.h"
#include "protocol/wire/tls.h"

/// Asio in this room. Each worker is one thread with an event loop of its own and a share of the connections: what has read a
/// whole frame serves it on the spot and writes the answer, so a call costs no change of thread and no lock of ours. The pool is
/// bounded, and so is what waits: one request a connection. Accepting, the watch over deadlines and the stop have a thread of their own.
namespace intaglio::protocol::wire {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using net::Socket;
using std::chrono::steady_clock;

constexpr std::size_t resting_buffer_bytes = 16 * 1024;
constexpr auto handshake_timeout = std::chrono::seconds(5);
constexpr auto transfer_timeout = std::chrono::seconds(10);
constexpr auto sweep_interval = std::chrono::milliseconds(500);
constexpr auto longest_stop = std::chrono::seconds(30);

/// The message of a frame in, the whole frame of the answer out; never throws.
using Serve = std::function<Bytes(const crypto::Sha256Digest& peer_spki, std::unique_ptr<OneTimeSession>& session, ByteView message)>;

/// How many connections each peer has.
class PeerCounts {
 public:
  explicit PeerCounts(unsigned most) : most_(most) {}
  /// False when as many connections of this key as may be are there; else one more is, until `leave`.
  [[nodiscard]] bool enter(const crypto::Sha256Digest& peer) {
    const std::lock_guard lock(mutex_);
    auto& there = peers_[peer];
    if (refused_by("wire.connections-per-peer", there >= most_)) return false;
    ++there;
    return true;
  }
  void leave(const crypto::Sha256Digest& peer) {
    const std::lock_guard lock(mutex_);
    const auto there = peers_.find(peer);
    if (there != peers_.end() && --there->second == 0) peers_.erase(there);
  }

 private:
  std::mutex mutex_;
  const unsigned most_;
  std::map<crypto::Sha256Digest, unsigned> peers_;
};

// Asio frees the context that it is given; ours lives as long as the pins do.
SSL_CTX* borrowed(SSL_CTX* context) {
  SSL_CTX_up_ref(context);
  return context;
}

/// What the connections of one server share.
struct Shared {
  Shared(const ServerConfig& wanted, Serve what, TlsContext context)
      : config(wanted),
        serve(std::move(what)),
        tls_context(std::move(context)),
        tls(borrowed(tls_context.native())),
        peers(config.max_connections_per_peer) {}

  const ServerConfig config;
  const Serve serve;
  TlsContext tls_context;
  asio::ssl::context tls;
  PeerCounts peers;
  net::Registry registry;
  net::Occasional complaints;
};

class Connection : public net::Connection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, Shared& shared, std::atomic<unsigned>& load)
      : shared_(shared), stream_(std::move(socket), shared.tls), load_(load) {
    ++load_;
  }
  ~Connection() override {
    --load_;
    if (entered_) shared_.peers.leave(peer_);
    shared_.registry.remove(this);
  }

  /// Called by the thread that accepts; all else happens on the worker's.
  void begin() {
    deadline_.in(handshake_timeout);
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->shake_hands(); });
  }

  void close_when_overdue(steady_clock::time_point now) override {
    if (!deadline_.passed(now)) return;
    asio::post(stream_.get_executor(), [self = shared_from_this(), now] {
      if (self->deadline_.passed(now)) self->close();
    });
  }
  void stop() override {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->stopping_ = true;
      if (self->have_ == 0) self->close();
    });
  }

 private:
  void shake_hands() {
    error_code ignored;
    stream_.next_layer().set_option(tcp::no_delay(true), ignored);
    stream_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](const error_code& failed) {
      if (failed) return self->refuse("wire.peer_refused", failed);
      const auto peer = peer_spki(self->stream_.native_handle());
      if (!peer) return self->refuse("wire.peer_refused", peer.error().detail);
      self->peer_ = *peer;
      self->entered_ = self->shared_.peers.enter(*peer);
      if (!self->entered_) return self->refuse("wire.peer_refused", "too many connections of one key");
      self->rest();
    });
  }

  void rest() {
    if (stopping_) return close();
    have_ = 0;
    if (buffer_.size() != resting_buffer_bytes) Bytes(resting_buffer_bytes).swap(buffer_);
    deadline_.in(shared_.config.longest_rest);
    if (session_) deadline_.at(session_->ends());
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
    if (have_ == 0 && !session_) deadline_.in(transfer_timeout);
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
    deadline_.never();
    answer_ = shared_.serve(peer_, session_, message);
    wipe(std::span(buffer_).first(have_));
    deadline_.in(transfer_timeout);
    asio::async_write(stream_, asio::buffer(answer_), [self = shared_from_this()](const error_code& failed, std::size_t) {
      if (failed) return self->close();
      self->rest();
    });
  }

  void refuse(std::string_view event, const error_code& failed) { refuse(event, failed.message()); }
  void refuse(std::string_view event, const std::string& reason) {
    if (shared_.complaints.due()) {
      error_code unknown;
      const auto peer = stream_.next_layer().remote_endpoint(unknown);
      log::warn(event, {{"peer", unknown ? "?" : peer.address().to_string()}, {"reason", reason}});
    }
    close();
  }
  /// A session of this connection ends with it.
  void close() {
    error_code ignored;
    stream_.next_layer().close(ignored);
    session_.reset();
  }

  Shared& shared_;
  asio::ssl::stream<Socket> stream_;
  std::atomic<unsigned>& load_;
  crypto::Sha256Digest peer_{};  ///< SPKI of the peer's leaf
  net::Deadline deadline_;
  Bytes buffer_;
  Bytes answer_;
  std::size_t have_ = 0;  ///< bytes of the frame that is being read or answered; 0 while at rest
  std::unique_ptr<OneTimeSession> session_;  ///< the one that is open on this connection
  bool stopping_ = false;
  bool entered_ = false;  ///< counted among the connections of its key
};

/// A loop, and how many connections it has.
struct Worker {
  net::Loop loop{"wire"};
  std::atomic<unsigned> load{0};
};

}  // namespace

struct Server::State {
  State(const ServerConfig& config, Serve serve, TlsContext context)
      : shared(config, std::move(serve), std::move(context)),
        front({.service = "wire",
               .address = config.address,
               .port = config.port,
               .max_connections = config.max_connections,
               .sweep_interval = sweep_interval},
              shared.registry, shared.complaints) {}

  Status open() {
    if (auto opened = front.open(); !opened) return opened;
    for (unsigned i = 0; i < shared.config.workers; ++i) workers.push_back(std::make_unique<Worker>());
    // Accepted for the worker that had the fewest when the wait for it began, which is near enough.
    front.begin({.next_loop = [this]() -> asio::io_context& { return (chosen = &least_loaded())->loop.io(); },
                 .welcome =
                     [this](Socket socket) {
                       auto connection = std::make_shared<Connection>(std::move(socket), shared, chosen->load);
                       shared.registry.add(connection);
                       connection->begin();
                     }},
                [] {});
    return {};
  }

  Worker& least_loaded() {
    return **std::min_element(workers.begin(), workers.end(), [](const auto& left, const auto& right) { return left->load < right->load; });
  }

  void stop() {
    if (workers.empty() || std::exchange(stopped, true)) return;
    if (!front.stop(longest_stop)) log::warn("wire.stopped_under_way");
    for (const auto& worker : workers) worker->loop.stop();
  }

  // Ended from the last to the first.
  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  Worker* chosen = nullptr;  ///< of the connection that is waited for
  net::Front front;
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
              [sam = std::move(service)](const crypto::Sha256Digest&, std::unique_ptr<OneTimeSession>& session, ByteView message) {
                return serve(*sam, session, message);
              });
}

Result<std::unique_ptr<Server>> Server::start(const ServerConfig& config, std::shared_ptr<ManagementService> service) {
  if (!service || !config.pinned_peers.empty()) return Error{ErrorCode::configuration, "wire: a service that knows its peers, and no pins"};
  auto peers = [service](const crypto::Sha256Digest& peer) { return service->knows(peer); };
  return open(config, std::move(peers),
              [service = std::move(service)](const crypto::Sha256Digest& peer, std::unique_ptr<OneTimeSession>&, ByteView message) {
                return serve(*service, peer, message);
              });
}

std::uint16_t Server::port() const noexcept { return state_->front.port(); }
void Server::stop() { state_->stop(); }

}  // namespace intaglio::protocol::wire
