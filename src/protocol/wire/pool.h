#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "protocol/wire/link.h"

namespace intaglio::protocol::wire {

/// The connections to one node that wait for a call; the last one used is the next, so that few stay warm. Thread-safe.
class Pool {
 public:
  Pool(TlsContext tls, ClientConfig config);

  /// How long a call may look for its way to the node.
  struct Patience {
    Deadline free;      ///< for a connection that nobody uses; then `busy`
    Deadline answered;  ///< for the answer
  };
  /// The answer's message. Nothing is sent twice unless the first connection cannot have carried it whole. Refused:
  /// `token_unavailable` and `busy`, nothing was sent; unknown_outcome(), it was.
  [[nodiscard]] Result<Bytes> exchange(ByteView frame, const Patience& patience);
  /// A connection for a conversation, which nobody else uses.
  [[nodiscard]] Result<std::unique_ptr<Link>> open_own() const;
  /// Opens a connection and keeps it for the next call: whether the node is there.
  [[nodiscard]] Status reach();

  [[nodiscard]] const ClientConfig& config() const noexcept { return config_; }

 private:
  struct Rested {
    std::unique_ptr<Link> link;
    std::chrono::steady_clock::time_point since;
  };
  struct Place;
  [[nodiscard]] Result<Place> take_place(Deadline patience);
  [[nodiscard]] Status reopen(Place& place, Deadline deadline) const;
  void give_back(std::unique_ptr<Link> link);

  const TlsContext tls_;
  const ClientConfig config_;
  std::mutex mutex_;
  std::condition_variable free_;
  unsigned in_use_ = 0;
  std::vector<Rested> resting_;
};

}  // namespace intaglio::protocol::wire
