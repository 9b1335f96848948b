#pragma once

#include <atomic>
#include <memory>
#include <string_view>

#include "base/ids.h"
#include "http/limiter.h"
#include "http/routes.h"
#include "metrics/metrics.h"
#include "oauth/authorization_endpoint.h"

namespace intaglio::ssa {

/// Requests a minute, and as many at once; 0: no limit. An address counts where nobody has shown who he is, a client once it has, an
/// account (a signer) for what is done in its name.
struct LimitsConfig {
  struct Reads {
    std::uint32_t address = 0, client = 0, account = 0;
  } reads{};  ///< whatever is none of the others
  struct Tokens {
    std::uint32_t address = 0, client = 0;
  } tokens{};  ///< oauth2/token, revoke, pushed_authorize: a signature is verified, a row written
  struct Starts {
    std::uint32_t address = 0, anonymous = 0, client = 0, account = 0;
  } starts{};  ///< what opens a transaction at the SAM; `anonymous`: of all who did not push their request
  struct Signatures {
    std::uint32_t client = 0, account = 0;
  } signatures{};  ///< what asks the SAM to verify factors or to sign
};

/// The limits of the public listener, of this node: token buckets in fixed memory. Thread-safe.
class Limits {
 public:
  Limits(const LimitsConfig& config, const std::shared_ptr<const Clock>& clock);

  /// 429 with Retry-After, in the one form of refusal that CSC, OAuth and /sic share. The gate holds this object: it outlives the router.
  [[nodiscard]] http::Gate gate();
  /// For oauth::ClientAuthentication, which alone knows who asks for a token.
  [[nodiscard]] std::shared_ptr<http::Limiter> token_clients() const noexcept { return tokens_.client; }
  /// Before a transaction is opened for this signer; refused (`limit_exceeded`). Requests that anybody may have
  /// brought draw on a bucket of their own, so that no stranger keeps a signer from his applications.
  [[nodiscard]] Status start_for(const SignerId& signer, oauth::Origin origin);
  /// intaglio_limited_requests_total.
  [[nodiscard]] std::vector<metrics::Figure> figures() const;

 private:
  struct Buckets {
    std::shared_ptr<http::Limiter> address, client, account;
  };
  struct Counts {
    std::atomic<std::uint64_t> address{0}, anonymous{0}, client{0}, account{0};
  };
  [[nodiscard]] std::optional<http::Response> judge(const http::Request& request, std::string_view pattern, const http::Principal* caller);

  Buckets reads_, tokens_, starts_, signatures_;
  std::shared_ptr<http::Limiter> anonymous_starts_, accounts_of_strangers_;
  Counts refused_;
};

}  // namespace intaglio::ssa
