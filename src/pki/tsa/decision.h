#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/timestamp.h"

namespace intaglio::pki {

/// What the time-stamping authority accepts and what its tokens state; configuration alone decides.
struct TimestampPolicy {
  std::string oid;                             ///< of the one time-stamp policy that is served
  std::vector<crypto::HashAlgorithm> hashes;   ///< of the client's data
  std::chrono::milliseconds accuracy;          ///< 10 to 1000 (EN 319 422, 5.2.2: one second or better)
  bool qualified;                              ///< tokens carry esi4-qtstStatement-1 (EN 319 422, 9.1)
};

/// Why there is no token. `detail` goes to the client as statusString: it speaks of the request alone.
struct TimestampRefusal {
  crypto::TimestampFailure failure;
  std::string detail;
};

/// What a request comes to before a clock, a key or a database is looked at. No default: accepted with the request, or refused.
class TimestampDecision {
 public:
  [[nodiscard]] static TimestampDecision accepted(crypto::TimestampRequest request) { return {std::move(request), std::nullopt}; }
  [[nodiscard]] static TimestampDecision refused(TimestampRefusal refusal) { return {std::nullopt, std::move(refusal)}; }
  [[nodiscard]] const crypto::TimestampRequest* request() const noexcept { return request_ ? &*request_ : nullptr; }
  [[nodiscard]] const TimestampRefusal* refusal() const noexcept { return refusal_ ? &*refusal_ : nullptr; }

 private:
  TimestampDecision(std::optional<crypto::TimestampRequest> request, std::optional<TimestampRefusal> refusal)
      : request_(std::move(request)), refusal_(std::move(refusal)) {}
  std::optional<crypto::TimestampRequest> request_;
  std::optional<TimestampRefusal> refusal_;
};

/// In the order of RFC 3161, 2.4.2: format, version, hash, length, policy, extensions.
[[nodiscard]] TimestampDecision decide_timestamp(ByteView request, const TimestampPolicy& policy);

}  // namespace intaglio::pki
