#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "intaglio_sam.pb.h"
#include "protocol/nodes.h"
#include "protocol/wire/pool.h"

namespace intaglio::protocol::wire {

/// What becomes of a call that is made once more on another node, when the first may have done it (docs/architecture/nodes.md).
enum class Repeat {
  never,
  harmless,     ///< it changes nothing, or it makes a ticket that nobody else has
  of_one_node,  ///< harmless; what one node does not have, another may: a receipt of its log
  settles,      ///< the SAM does it once, for all nodes (TC-4, TC-9): it is done now, or it was, and that is refused or given again
};
/// `never` for a call that nothing is known of.
[[nodiscard]] Repeat repeat_of(v1::Request::CallCase call) noexcept;

/// Several nodes of one SAM, which takes the same call on each. A call goes to one of those that serve, in turn; where one is away, gives no
/// answer or does not serve, to the next, within the call's time and as far as `Repeat` allows. A node that failed is left out for a
/// while, longer each time, and comes back when it is reached again. With one node nothing is ever repeated. Thread-safe.
class Nodes {
 public:
  explicit Nodes(std::vector<std::unique_ptr<Pool>> pools);
  ~Nodes();
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  /// After a lost answer only success settles what acts: what another node refuses then says nothing of what the first one did, and
  /// `storage_unavailable` is answered, as after a commit in doubt.
  [[nodiscard]] Result<v1::Answer> exchange(ByteView frame, Repeat repeat, v1::Answer::OutcomeCase expected);
  /// A connection for a conversation with one of them.
  [[nodiscard]] Result<std::unique_ptr<Link>> open_own();
  [[nodiscard]] std::chrono::seconds timeout() const noexcept;
  /// Asks each for its status, one after the other, and waits two seconds for each at most.
  [[nodiscard]] std::vector<NodeReport> report(ByteView status_frame);

 private:
  struct Node;
  [[nodiscard]] std::vector<Node*> in_order(std::size_t& serving);
  void look_for_those_left_out();

  std::vector<std::unique_ptr<Node>> nodes_;
  std::atomic<unsigned> turn_{0};
  std::mutex watch_mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread watch_;  ///< none for one node
};

/// The answer of this kind in a message; else the SAM's refusal, or unknown_outcome().
[[nodiscard]] Result<v1::Answer> answer_in(ByteView message, v1::Answer::OutcomeCase expected);

}  // namespace intaglio::protocol::wire
