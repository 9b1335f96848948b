#include "protocol/wire/nodes.h"

#include <algorithm>

#include "base/log.h"
#include "base/panic.h"
#include "protocol/wire/convert.h"
#include "protocol/wire/frame.h"

namespace intaglio::protocol::wire {
namespace {

using std::chrono::steady_clock;
using v1::Request;

constexpr std::chrono::milliseconds first_pause{250};
constexpr std::chrono::milliseconds longest_pause{8000};
constexpr std::chrono::milliseconds watch_interval{100};
constexpr std::chrono::seconds report_patience{2};

/// How a node met a call.
enum class Met {
  answered,    ///< or refused for good
  not_sent,    ///< it cannot have received it
  not_served,  ///< it refused because it does not serve now; what it did of it before, it does once
  lost,        ///< it may have done it
};

Met met_by(const Error& error, bool reached) {
  if (!reached) return error.code == ErrorCode::internal ? Met::lost : Met::not_sent;
  switch (error.code) {
    case ErrorCode::busy:
    case ErrorCode::clock_unsynchronised:
    case ErrorCode::audit_unavailable:
    case ErrorCode::storage_unavailable:
    case ErrorCode::token_unavailable: return Met::not_served;
    default: return Met::answered;
  }
}

/// What the watch asks a node that was left out: a node that hangs behind its handshake is not back.
Bytes status_question() {
  Request request;
  request.mutable_status();
  const auto frame = encode_frame(request);
  if (!frame) panic("the question for a node's status does not encode");
  return *frame;
}

/// As of a commit whose answer was lost: it may stand, and whoever asks again finds out.
Error in_doubt(const Error& lost) { return {ErrorCode::storage_unavailable, lost.detail}; }

}  // namespace

Repeat repeat_of(Request::CallCase call) noexcept {
  switch (call) {
    case Request::kOpenSigning:
    case Request::kOpenEnrolment:
    case Request::kOpenKeyGeneration:
    case Request::kOpenFactorChange:
    case Request::kOpenKeyChange:
    case Request::kOpenGrant:
    case Request::kOpenOneTime:
    case Request::kListCredentials:
    case Request::kCredential:
    case Request::kStatus:
    case Request::kPublicKeys: return Repeat::harmless;
    case Request::kReceipt: return Repeat::of_one_node;
    // The id of a SAP message, an operator's or a device's request and a SAD that is followed are used up with what they do, and a signature
    // is given again.
    case Request::kAuthorise:
    case Request::kEnrolFactors:
    case Request::kGenerateKey:
    case Request::kChangeFactors:
    case Request::kChangeKey:
    case Request::kSign:
    case Request::kExtend:
    case Request::kRecogniseDevice:
    case Request::kCreateSigner:
    case Request::kResetFactors:
    case Request::kBindCertificate:
    case Request::kSuspendByOperator:
    case Request::kResumeKey:
    // What fails safe, and a certificate that is recorded once.
    case Request::kSuspendKey:
    case Request::kEndGrant:
    case Request::kPutRevocationData:
    case Request::kReportOrphan: return Repeat::settles;
    // These belong to a connection.
    case Request::kOneTimeIdentify:
    case Request::kOneTimeSign:
    case Request::CALL_NOT_SET: break;
  }
  return Repeat::never;
}

Result<v1::Answer> answer_in(ByteView message, v1::Answer::OutcomeCase expected) {
  v1::Answer answer;
  if (!parse_message(message, answer)) return unknown_outcome("not an answer");
  if (answer.outcome_case() == v1::Answer::kRefusal) return Error{from_wire_number(answer.refusal()), "refused by the SAM"};
  if (answer.outcome_case() != expected) return unknown_outcome("an answer to another call");
  return answer;
}

/// A pool, and what was learned of its node.
struct Nodes::Node {
  explicit Node(std::unique_ptr<Pool> kept)
      : pool(std::move(kept)), name(pool->config().address + ":" + std::to_string(pool->config().port)) {}

  [[nodiscard]] bool left_out() const {
    const std::lock_guard lock(mutex);
    return out;
  }
  /// For the watch: whether it is time to look for it again.
  [[nodiscard]] bool due(steady_clock::time_point now) const {
    const std::lock_guard lock(mutex);
    return out && now >= until;
  }
  void failed(const Error& why) {
    ++failures;
    const std::lock_guard lock(mutex);
    if (!out) log::warn("sam.node_left_out", {{"node", name}, {"reason", std::string(name_of(why.code))}, {"detail", why.detail}});
    // Of calls that fail at the same time the first one counts.
    if (!out) pause = std::min(pause * 2, longest_pause);
    out = true;
    until = steady_clock::now() + pause;
  }
  void served() {
    const std::lock_guard lock(mutex);
    pause = first_pause / 2;
    come_back();
  }
  /// It answers; whether it serves, the next call will tell, and a pause that was long stays so until one does.
  void reached() {
    const std::lock_guard lock(mutex);
    come_back();
  }
  void still_away() {
    const std::lock_guard lock(mutex);
    pause = std::min(pause * 2, longest_pause);
    until = steady_clock::now() + pause;
  }

  const std::unique_ptr<Pool> pool;
  const std::string name;
  std::atomic<std::uint64_t> calls{0}, failures{0}, taken_over{0};

 private:
  void come_back() {
    if (out) log::info("sam.node_back", {{"node", name}});
    out = false;
  }
  mutable std::mutex mutex;
  bool out = false;
  std::chrono::milliseconds pause = first_pause / 2;  ///< doubled at each failure
  steady_clock::time_point until;
};

Nodes::Nodes(std::vector<std::unique_ptr<Pool>> pools) {
  nodes_.reserve(pools.size());
  for (auto& pool : pools) nodes_.push_back(std::make_unique<Node>(std::move(pool)));
  if (nodes_.size() > 1) watch_ = std::thread([this] { look_for_those_left_out(); });
}

Nodes::~Nodes() {
  if (!watch_.joinable()) return;
  {
    const std::lock_guard lock(watch_mutex_);
    stopping_ = true;
  }
  stopped_.notify_one();
  watch_.join();
}

/// So that no call waits for a host that is gone.
void Nodes::look_for_those_left_out() {
  const auto question = status_question();
  const auto answers = [&](Pool& pool) {
    if (!pool.reach()) return false;
    const auto end = steady_clock::now() + std::min<std::chrono::seconds>(report_patience, timeout());
    const auto message = pool.exchange(question, {steady_clock::now(), end});
    return message && answer_in(*message, v1::Answer::kJson);
  };
  std::unique_lock lock(watch_mutex_);
  while (!stopped_.wait_for(lock, watch_interval, [this] { return stopping_; })) {
    lock.unlock();
    for (const auto& node : nodes_) {
      if (!node->due(steady_clock::now())) continue;
      if (answers(*node->pool)) {
        node->reached();
      } else {
        node->still_away();
      }
    }
    lock.lock();
  }
}

/// Those that serve, in turn; then, as nothing else is left, those that are left out. `serving`: how many of them serve.
std::vector<Nodes::Node*> Nodes::in_order(std::size_t& serving) {
  std::vector<Node*> order;
  order.reserve(nodes_.size());
  const auto first = turn_++;
  for (std::size_t i = 0; i < nodes_.size(); ++i) order.push_back(nodes_[(first + i) % nodes_.size()].get());
  const auto out = std::stable_partition(order.begin(), order.end(), [](const Node* node) { return !node->left_out(); });
  serving = static_cast<std::size_t>(out - order.begin());
  return order;
}

std::chrono::seconds Nodes::timeout() const noexcept { return nodes_.front()->pool->config().timeout; }

Result<v1::Answer> Nodes::exchange(ByteView frame, Repeat repeat, v1::Answer::OutcomeCase expected) {
  const auto begun = steady_clock::now();
  const auto end = begun + timeout();
  std::size_t serving = 0;
  const auto order = in_order(serving);
  std::optional<Error> doubt;  // of a node that may have done it
  std::optional<Error> last;
  for (std::size_t at = 0; at < order.size(); ++at) {
    auto* node = order[at];
    if (last && steady_clock::now() >= end) break;
    // Those that serve have their hands full: one that is left out does not help.
    if (at == serving && last && last->code == ErrorCode::busy && !doubt) break;
    // While another node that serves may have a connection free, none is waited for.
    const bool only = at + 1 == order.size() || at + 1 == serving;
    ++node->calls;
    if (last) ++node->taken_over;
    const auto message = node->pool->exchange(frame, {only ? steady_clock::now() + node->pool->config().patience : begun, end});
    auto answer = message ? answer_in(*message, expected) : message.error();
    if (answer) {
      node->served();
      return answer;
    }
    const auto met = met_by(answer.error(), static_cast<bool>(message));
    if (met == Met::answered) {
      node->served();
      const bool elsewhere = repeat == Repeat::of_one_node && answer.error().code == ErrorCode::not_found && at + 1 != order.size();
      if (!elsewhere) return doubt ? *doubt : answer;
    } else if (answer.error().code != ErrorCode::busy) {
      node->failed(answer.error());
    }
    last = met == Met::lost ? in_doubt(answer.error()) : answer.error();
    const bool may_have_acted = met == Met::lost || met == Met::not_served;
    if (may_have_acted && repeat == Repeat::never) return *last;
    if (may_have_acted && repeat == Repeat::settles && (!doubt || met == Met::lost)) doubt = last;
  }
  return doubt ? *doubt : *last;
}

Result<std::unique_ptr<Link>> Nodes::open_own() {
  std::optional<Error> last;
  std::size_t serving = 0;
  for (auto* node : in_order(serving)) {
    ++node->calls;
    if (last) ++node->taken_over;
    auto opened = node->pool->open_own();
    if (opened) return opened;
    node->failed(opened.error());
    last = opened.error();
  }
  return *last;
}

std::vector<NodeReport> Nodes::report(ByteView status_frame) {
  std::vector<NodeReport> reports;
  reports.reserve(nodes_.size());
  for (const auto& node : nodes_) {
    const auto end = steady_clock::now() + std::min<std::chrono::seconds>(report_patience, timeout());
    const auto message = node->pool->exchange(status_frame, {end, end});
    const auto answer = message ? answer_in(*message, v1::Answer::kJson) : message.error();
    auto status = answer ? read_json(answer->json()) : Result<std::string>(answer.error());
    reports.push_back({node->name, node->left_out(), node->calls, node->failures, node->taken_over, std::move(status)});
  }
  return reports;
}

}  // namespace intaglio::protocol::wire
