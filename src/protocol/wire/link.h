#pragma once

#include <chrono>
#include <memory>

#include "protocol/wire/tls.h"

namespace intaglio::protocol::wire {

using Deadline = std::chrono::steady_clock::time_point;

/// The outcome of a call that was handed to the system whole and not answered.
[[nodiscard]] Error unknown_outcome(std::string_view why);

/// One connection to the SAM, used by one thread at a time.
class Link {
 public:
  /// TCP and TLS handshake; refused with `token_unavailable`: nothing was sent.
  [[nodiscard]] static Result<std::unique_ptr<Link>> open(const TlsContext& tls, const ClientConfig& config, Deadline deadline);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// False when the SAM has closed it, or said something unasked.
  [[nodiscard]] bool quiet() const noexcept;
  /// The whole frame handed to the system. A refusal means that the SAM cannot have received it whole, so it did nothing.
  Status send(ByteView frame, Deadline deadline);
  /// The message of the answer's frame. Refused with unknown_outcome().
  [[nodiscard]] Result<Bytes> receive(Deadline deadline);

 private:
  struct State;
  explicit Link(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace intaglio::protocol::wire
