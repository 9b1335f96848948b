#include "http/server.h"

#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "http/answer.h"
#include "http/request_reader.h"
#include "http/routes.h"
#include "http/transport.h"
#include "http/worker_pool.h"

/// All of Asio in this room. A connection belongs to one loop, which waits, reads and never blocks; a whole request goes to a worker,
/// which runs the handler and writes the answer itself; then the loop has the connection again. While nothing is under way a
/// connection holds no buffer, so that ten thousand of them are cheap.
namespace intaglio::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, Executor>;
using Outcome = Transport::Outcome;

constexpr std::size_t read_size = 16 * 1024;
constexpr std::size_t max_drained_bytes = 1024 * 1024;
constexpr auto drain_timeout = std::chrono::seconds(2);
constexpr auto sweep_interval = std::chrono::milliseconds(250);
constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr auto no_deadline = std::numeric_limits<steady_clock::rep>::max();
constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";

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

/// The date line, made twice a second instead of for every answer.
class DateLine {
 public:
  void refresh() {
    auto text = http_date(unix_seconds(clock_->now()));
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  [[nodiscard]] std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::shared_ptr<const Clock> clock_ = make_system_clock(ClockSource::declared);
  mutable std::mutex mutex_;
  std::string text_;
};

class Connection;

/// Who is connected: counts them for the cap, and finds them for the sweep and the stop.
class Registry {
 public:
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
    found.reserve(connections_.size());
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
};

/// What the connections of one server share.
struct Shared {
  ListenerConfig config;
  Handler handler;
  std::shared_ptr<ssl_ctx_st> tls;
  std::string id_prefix;
  std::atomic<std::uint64_t> requests{0};
  DateLine date;
  Occasional complaints;
  Registry registry;
  std::unique_ptr<WorkerPool> workers;

  [[nodiscard]] std::string next_request_id() {
    std::array<char, 24> number{};
    std::snprintf(number.data(), number.size(), "%08llx", static_cast<unsigned long long>(++requests));
    return id_prefix + number.data();
  }
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, Shared& shared)
      : shared_(shared), socket_(std::move(socket)), transport_(socket_.native_handle(), shared.tls.get()) {}
  ~Connection() { shared_.registry.remove(this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Called by the thread that accepts; all else happens on the loop, or on the worker that has the request.
  void begin(std::string peer_address) {
    peer_address_ = std::move(peer_address);
    due_in(shared_.config.request_timeout);
    post(&Connection::shake_hands);
  }
  void close_when_overdue(steady_clock::time_point now) {
    if (now.time_since_epoch().count() >= deadline_.load(std::memory_order_relaxed)) post(&Connection::close_if_overdue);
  }
  void stop() { post(&Connection::stop_when_idle); }

 private:
  using Step = void (Connection::*)();

  void post(Step step) {
    asio::post(socket_.get_executor(), [self = shared_from_this(), step] { self->go_on(step); });
  }
  void wait(Outcome outcome, Step next) {
    if (outcome == Outcome::closed) return close();
    const auto event = outcome == Outcome::wait_write ? tcp::socket::wait_write : tcp::socket::wait_read;
    socket_.async_wait(event, [self = shared_from_this(), next](const error_code& failed) {
      if (failed) return self->close();
      self->go_on(next);
    });
  }
  /// Never with a closed socket: its number may be another connection's by now.
  void go_on(Step step) {
    if (socket_.is_open()) (this->*step)();
  }
  template <typename Duration>
  void due_in(Duration duration) {
    deadline_.store((steady_clock::now() + duration).time_since_epoch().count(), std::memory_order_relaxed);
  }

  void shake_hands() {
    const auto outcome = transport_.handshake();
    if (outcome != Outcome::done) return wait(outcome, &Connection::shake_hands);
    peer_certificate_ = transport_.peer_certificate();
    rest();
  }

  /// Between two requests.
  void rest() {
    if (stopping_) return close_politely();
    reader_.reset();
    if (!carried_.empty()) {
      const auto carried = std::exchange(carried_, {});
      return take(carried);
    }
    due_in(shared_.config.idle_timeout);
    if (transport_.has_pending()) return read_more();
    wait(Outcome::wait_read, &Connection::read_more);
  }

  void read_more() {
    thread_local std::array<char, read_size> scratch;
    std::size_t count = 0;
    const auto outcome = transport_.read(scratch, count);
    if (outcome != Outcome::done) return wait(outcome, &Connection::read_more);
    take(std::string_view(scratch.data(), count));
  }

  void take(std::string_view bytes) {
    if (!reader_) {
      reader_ = std::make_unique<RequestReader>(RequestLimits{.max_header_bytes = shared_.config.max_header_bytes,
                                                              .max_body_bytes = shared_.config.max_body_bytes,
                                                              .http_1_0 = shared_.config.http_1_0});
      due_in(shared_.config.request_timeout);
    }
    switch (reader_->feed(bytes)) {
      case RequestReader::State::complete: return serve();
      case RequestReader::State::refused: return refuse();
      case RequestReader::State::reading: break;
    }
    if (reader_->wants_continue()) {
      std::string_view interim = continue_answer;
      if (transport_.write(interim) != Outcome::done) return close();
    }
    if (transport_.has_pending()) return post(&Connection::read_more);
    wait(Outcome::wait_read, &Connection::read_more);
  }

  void refuse() {
    closing_ = true;
    request_ = Request{};
    request_.request_id = shared_.next_request_id();
    busy_ = true;
    answer(error_answer(reader_->refusal_status(), "invalid_request", reader_->refusal_reason()));
  }

  void serve() {
    closing_ = closing_ || !reader_->keep_alive();
    carried_ = reader_->take_rest();
    request_ = reader_->take_request();
    request_.peer_address = peer_address_;
    request_.peer_certificate = peer_certificate_;
    request_.request_id = shared_.next_request_id();
    reader_.reset();
    busy_ = true;
    deadline_.store(no_deadline, std::memory_order_relaxed);
    if (shared_.workers->submit([self = shared_from_this()] { self->run_handler(); })) return;
    if (shared_.complaints.due()) log::warn("http.queue_full", {{"limit", std::to_string(shared_.config.max_queue)}});
    auto busy = error_answer(503, "server_busy", "Too many requests are waiting; try again");
    busy.headers.emplace_back("Retry-After", "1");
    answer(busy);
  }

  void run_handler() {
    Response response;
    try {
      response = shared_.handler(request_);
    } catch (const std::exception& exception) {
      log::error("http.handler_failed", {{"request_id", request_.request_id}, {"reason", exception.what()}});
      response = error_answer(500, "server_error", "Internal error");
    }
    wipe(request_.body);
    answer(response);
  }

  /// Writes on the thread that made the answer; whatever comes after is the loop's.
  void answer(const Response& response) {
    const auto date = shared_.date.text();
    const AnswerFrame frame{.request_id = request_.request_id,
                            .date = date,
                            .tls = shared_.config.tls,
                            .close = closing_ || stopping_.load(std::memory_order_relaxed),
                            .head = request_.method == "HEAD"};
    closing_ = frame.close;
    answer_ = encode_answer(response, frame);
    unsent_ = answer_;
    due_in(shared_.config.request_timeout);
    outcome_ = transport_.write(unsent_);
    post(&Connection::after_answer);
  }
  void write_more() {
    outcome_ = transport_.write(unsent_);
    after_answer();
  }
  void after_answer() {
    busy_ = false;
    if (outcome_ != Outcome::done) return wait(outcome_, &Connection::write_more);
    std::string().swap(answer_);
    request_ = Request{};
    if (closing_) return close_politely();
    rest();
  }

  /// Reads on for a moment, so that the client gets the last answer and not a reset.
  void close_politely() {
    transport_.finish();
    reader_.reset();
    draining_ = true;
    due_in(drain_timeout);
    drain();
  }
  void drain() {
    thread_local std::array<char, read_size> scratch;
    std::size_t count = 0;
    const auto outcome = transport_.read(scratch, count);
    drained_ += count;
    if (outcome == Outcome::closed || drained_ > max_drained_bytes) return close();
    if (outcome == Outcome::done) return post(&Connection::drain);
    wait(outcome, &Connection::drain);
  }

  void close_if_overdue() {
    if (!busy_ && steady_clock::now().time_since_epoch().count() >= deadline_.load(std::memory_order_relaxed)) close();
  }
  void stop_when_idle() {
    stopping_ = true;
    if (!busy_ && !reader_ && answer_.empty() && !draining_) close();
  }
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

  Shared& shared_;
  Socket socket_;
  Transport transport_;
  std::string peer_address_;
  Bytes peer_certificate_;
  std::atomic<steady_clock::rep> deadline_{no_deadline};
  std::atomic<bool> stopping_{false};
  bool busy_ = false;  ///< a worker has it, or its answer is on the way to the loop
  bool closing_ = false;
  bool draining_ = false;
  std::unique_ptr<RequestReader> reader_;  ///< while a request is being read
  Request request_;
  std::string carried_;  ///< bytes behind the last request
  std::string answer_;
  std::string_view unsent_;
  Outcome outcome_ = Outcome::done;
  std::size_t drained_ = 0;
};

/// A thread and its event loop.
class Loop {
 public:
  Loop() : work_(io_.get_executor()), thread_([this] { run(); }) {}
  ~Loop() { stop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] asio::io_context& io() noexcept { return io_; }

 private:
  void run() {
    while (!io_.stopped()) {
      try {
        io_.run();
      } catch (const std::exception& exception) {
        log::error("http.connection_failed", {{"reason", exception.what()}});
      }
    }
  }
  asio::io_context io_{1};
  asio::executor_work_guard<Executor> work_;
  std::thread thread_;
};

std::string text_of(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  return address.to_string();
}

/// The usual soft limit of 1024 descriptors would make the cap on connections a fiction.
void allow_descriptors(rlim_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
    log::warn("http.few_descriptors", {{"have", std::to_string(limit.rlim_cur)}, {"wanted", std::to_string(wanted)}});
  }
}

}  // namespace

struct Server::State {
  Status open() {
    error_code failed;
    const auto& config = shared.config;
    const auto address = asio::ip::make_address(config.address, failed);
    if (!failed) acceptor.open(address.is_v6() ? tcp::v6() : tcp::v4(), failed);
    if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) acceptor.bind({address, config.port}, failed);
    if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (!failed) port = acceptor.local_endpoint(failed).port();
    if (failed) return Error{ErrorCode::configuration, "http: cannot listen on " + config.address + ": " + failed.message()};
    shared.date.refresh();
    shared.workers = std::make_unique<WorkerPool>(config.workers, config.max_queue);
    for (unsigned i = 0; i < config.io_threads; ++i) loops.push_back(std::make_unique<Loop>());
    asio::post(acceptor.get_executor(), [this] {
      accept();
      sweep();
    });
    return {};
  }

  void accept() {
    next_loop = (next_loop + 1) % loops.size();
    acceptor.async_accept(loops[next_loop]->io(), [this](const error_code& failed, Socket socket) {
      if (!acceptor.is_open()) return;
      if (failed) return pause(failed);
      if (shared.registry.size() < shared.config.max_connections) {
        welcome(std::move(socket));
      } else if (shared.complaints.due()) {
        log::warn("http.too_many_connections", {{"limit", std::to_string(shared.config.max_connections)}});
      }
      accept();
    });
  }

  void welcome(Socket socket) {
    error_code failed;
    socket.native_non_blocking(true, failed);
    if (!failed) socket.set_option(tcp::no_delay(true), failed);
    const auto peer = failed ? tcp::endpoint() : socket.remote_endpoint(failed);
    if (failed) return;
    auto connection = std::make_shared<Connection>(std::move(socket), shared);
    shared.registry.add(connection);
    connection->begin(text_of(peer.address()));
  }

  /// Out of descriptors, for example: accepting again at once would only spin.
  void pause(const error_code& failed) {
    if (shared.complaints.due()) log::warn("http.accept_failed", {{"reason", failed.message()}});
    pause_timer.expires_after(accept_pause);
    pause_timer.async_wait([this](const error_code& cancelled) {
      if (!cancelled && acceptor.is_open()) accept();
    });
  }

  void sweep() {
    shared.date.refresh();
    for (const auto& connection : shared.registry.all()) connection->close_when_overdue(steady_clock::now());
    sweep_timer.expires_after(sweep_interval);
    sweep_timer.async_wait([this](const error_code& cancelled) {
      if (!cancelled) sweep();
    });
  }

  void stop(std::chrono::seconds grace) {
    if (loops.empty() || std::exchange(stopped, true)) return;
    std::promise<void> closed;
    asio::post(acceptor.get_executor(), [this, &closed] {
      error_code ignored;
      acceptor.close(ignored);
      pause_timer.cancel();
      for (const auto& connection : shared.registry.all()) connection->stop();
      closed.set_value();
    });
    closed.get_future().wait();
    if (!shared.registry.wait_until_empty(grace)) log::warn("http.stopped_under_way");
    front.stop();
    for (const auto& loop : loops) loop->stop();
    shared.workers.reset();
  }

  // Ended from the last to the first: what still waits in the front's loop holds a socket of one of the loops.
  Shared shared;
  std::vector<std::unique_ptr<Loop>> loops;
  std::size_t next_loop = 0;
  Loop front;
  Acceptor acceptor{front.io()};
  Timer pause_timer{front.io()};
  Timer sweep_timer{front.io()};
  std::uint16_t port = 0;
  bool stopped = false;
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() { stop(std::chrono::seconds(0)); }

Result<std::unique_ptr<Server>> Server::start(const ListenerConfig& config, Handler handler) {
  if (!handler || config.io_threads == 0 || config.workers == 0 || config.max_connections == 0) {
    return Error{ErrorCode::configuration, "http: a handler, at least one thread, one worker and one connection"};
  }
  const auto prefix = crypto::random_bytes(6);
  if (!prefix) return prefix.error();
  auto tls = Result<std::shared_ptr<ssl_ctx_st>>(std::shared_ptr<ssl_ctx_st>());
  if (config.tls) tls = make_tls_context(config);
  if (!tls) return tls.error();
  allow_descriptors(rlim_t{config.max_connections} + 256);
  try {
    auto state = std::make_unique<State>();
    state->shared.config = config;
    state->shared.handler = std::move(handler);
    state->shared.tls = *std::move(tls);
    state->shared.id_prefix = encode_hex(*prefix) + "-";
    if (auto opened = state->open(); !opened) return opened.error();
    return std::unique_ptr<Server>(new Server(std::move(state)));
  } catch (const std::exception& exception) {
    return Error{ErrorCode::configuration, std::string("http: ") + exception.what()};
  }
}

std::uint16_t Server::port() const noexcept { return state_->port; }
void Server::stop(std::chrono::seconds grace) { state_->stop(grace); }

}  // namespace intaglio::http
