#include "http/server.h"

#include <sys/resource.h>

#include <boost/asio/post.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "http/answer.h"
#include "http/request_reader.h"
#include "http/routes.h"
#include "http/transport.h"
#include "http/worker_pool.h"
#include "net/front.h"

/// Asio in this room. A connection belongs to one loop, which waits, reads and never blocks; a whole request goes to a worker,
/// which runs the handler and writes the answer itself; then the loop has the connection again. While nothing is under way a
/// connection holds no buffer, so that ten thousand of them are cheap.
namespace intaglio::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using net::Socket;
using std::chrono::steady_clock;
using Outcome = Transport::Outcome;

constexpr std::size_t read_size = 16 * 1024;
constexpr std::size_t max_drained_bytes = 1024 * 1024;
constexpr auto drain_timeout = std::chrono::seconds(2);
constexpr auto sweep_interval = std::chrono::milliseconds(250);
constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";

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

/// What the connections of one server share.
struct Shared {
  ListenerConfig config;
  Handler handler;
  std::shared_ptr<ssl_ctx_st> tls;
  std::string id_prefix;
  std::atomic<std::uint64_t> requests{0};
  DateLine date;
  net::Occasional complaints;
  net::Registry registry;
  std::unique_ptr<WorkerPool> workers;

  [[nodiscard]] std::string next_request_id() {
    std::array<char, 24> number{};
    std::snprintf(number.data(), number.size(), "%08llx", static_cast<unsigned long long>(++requests));
    return id_prefix + number.data();
  }
};

class Connection : public net::Connection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, Shared& shared)
      : shared_(shared), socket_(std::move(socket)), transport_(socket_.native_handle(), shared.tls.get()) {}
  ~Connection() override { shared_.registry.remove(this); }

  /// Called by the thread that accepts; all else happens on the loop, or on the worker that has the request.
  void begin(std::string peer_address) {
    peer_address_ = std::move(peer_address);
    deadline_.in(shared_.config.request_timeout);
    post(&Connection::shake_hands);
  }
  void close_when_overdue(steady_clock::time_point now) override {
    if (deadline_.passed(now)) post(&Connection::close_if_overdue);
  }
  void stop() override { post(&Connection::stop_when_idle); }

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
    deadline_.in(shared_.config.idle_timeout);
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
      deadline_.in(shared_.config.request_timeout);
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
    deadline_.never();
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
    deadline_.in(shared_.config.request_timeout);
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
    deadline_.in(drain_timeout);
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
    if (!busy_ && deadline_.passed(steady_clock::now())) close();
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
  net::Deadline deadline_;
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
  explicit State(const ListenerConfig& config)
      : front({.service = "http",
               .address = config.address,
               .port = config.port,
               .max_connections = config.max_connections,
               .sweep_interval = sweep_interval},
              shared.registry, shared.complaints) {
    shared.config = config;
  }

  Status open() {
    if (auto opened = front.open(); !opened) return opened;
    shared.date.refresh();
    shared.workers = std::make_unique<WorkerPool>(shared.config.workers, shared.config.max_queue);
    for (unsigned i = 0; i < shared.config.io_threads; ++i) loops.push_back(std::make_unique<net::Loop>("http"));
    front.begin({.next_loop = [this]() -> asio::io_context& { return loops[next_loop = (next_loop + 1) % loops.size()]->io(); },
                 .welcome = [this](Socket socket) { welcome(std::move(socket)); }},
                [this] { shared.date.refresh(); });
    return {};
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

  void stop(std::chrono::seconds grace) {
    if (loops.empty() || std::exchange(stopped, true)) return;
    if (!front.stop(grace)) log::warn("http.stopped_under_way");
    for (const auto& loop : loops) loop->stop();
    shared.workers.reset();
  }

  // Ended from the last to the first.
  Shared shared;
  std::vector<std::unique_ptr<net::Loop>> loops;
  std::size_t next_loop = 0;
  net::Front front;
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
    auto state = std::make_unique<State>(config);
    state->shared.handler = std::move(handler);
    state->shared.tls = *std::move(tls);
    state->shared.id_prefix = encode_hex(*prefix) + "-";
    if (auto opened = state->open(); !opened) return opened.error();
    return std::unique_ptr<Server>(new Server(std::move(state)));
  } catch (const std::exception& exception) {
    return Error{ErrorCode::configuration, std::string("http: ") + exception.what()};
  }
}

std::uint16_t Server::port() const noexcept { return state_->front.port(); }
void Server::stop(std::chrono::seconds grace) { state_->stop(grace); }

}  // namespace intaglio::http
