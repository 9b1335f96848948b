#include "protocol/wire/pool.h"

#include <utility>

namespace intaglio::protocol::wire {
namespace {

using std::chrono::steady_clock;

/// Well below the server's idle timeout, so that a kept connection is not closed under a request.
constexpr auto longest_rest = std::chrono::minutes(4);

}  // namespace

/// The right to use one connection, and the connection if it is open; goes back by itself.
struct Pool::Place {
  Place(Pool& owner, std::unique_ptr<Link> kept) : pool(&owner), link(std::move(kept)) {}
  Place(Place&& other) noexcept : pool(std::exchange(other.pool, nullptr)), link(std::move(other.link)) {}
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (pool != nullptr) pool->give_back(std::move(link));
  }
  Pool* pool;
  std::unique_ptr<Link> link;
};

Pool::Pool(TlsContext tls, ClientConfig config) : tls_(std::move(tls)), config_(std::move(config)) {}

Result<Bytes> Pool::exchange(ByteView frame, const Patience& patience) {
  auto place = take_place(std::min(patience.answered, patience.free));
  if (!place) return place.error();
  if (!place->link || !place->link->send(frame, patience.answered)) {
    if (auto opened = reopen(*place, patience.answered); !opened) return opened.error();
    if (auto sent = place->link->send(frame, patience.answered); !sent) {
      place->link.reset();
      return sent.error();
    }
  }
  auto answer = place->link->receive(patience.answered);
  if (!answer) place->link.reset();
  return answer;
}

Result<std::unique_ptr<Link>> Pool::open_own() const { return Link::open(tls_, config_, steady_clock::now() + config_.connect_timeout); }

Status Pool::reach() {
  auto opened = open_own();
  if (!opened) return opened.error();
  const std::lock_guard lock(mutex_);
  if (resting_.size() < config_.connections) resting_.push_back({*std::move(opened), steady_clock::now()});
  return {};
}

Result<Pool::Place> Pool::take_place(Deadline patience) {
  std::unique_lock lock(mutex_);
  if (!free_.wait_until(lock, patience, [this] { return in_use_ < config_.connections; })) {
    return Error{ErrorCode::busy, "wire: every connection to the SAM is in use"};
  }
  ++in_use_;
  while (!resting_.empty()) {
    auto rested = std::move(resting_.back());
    resting_.pop_back();
    const bool fresh = steady_clock::now() - rested.since < longest_rest;
    if (fresh && rested.link->quiet()) return Place(*this, std::move(rested.link));
  }
  return Place(*this, nullptr);
}

Status Pool::reopen(Place& place, Deadline deadline) const {
  auto opened = Link::open(tls_, config_, std::min(deadline, steady_clock::now() + config_.connect_timeout));
  if (!opened) {
    place.link.reset();
    return opened.error();
  }
  place.link = *std::move(opened);
  return {};
}

void Pool::give_back(std::unique_ptr<Link> link) {
  const std::lock_guard lock(mutex_);
  --in_use_;
  if (link) resting_.push_back({std::move(link), steady_clock::now()});
  free_.notify_one();
}

}  // namespace intaglio::protocol::wire
