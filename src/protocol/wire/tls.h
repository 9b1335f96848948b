#pragma once

#include <memory>
#include <vector>

#include "protocol/wire.h"

struct ssl_ctx_st;

namespace intaglio::protocol::wire {

enum class TlsSide { client, server };

/// TLS 1.3 and nothing else: no tickets, no resumption, no renegotiation, and the peer's leaf certificate accepted by the SHA-256
/// of its SPKI alone. Names, dates and issuers decide nothing.
class TlsContext {
 public:
  /// Refused with `configuration` when a file cannot be read, the key file is open to others, or the key is not the certificate's.
  [[nodiscard]] static Result<TlsContext> create(TlsSide side, const TlsIdentity& identity, std::vector<crypto::Sha256Digest> pinned_peers);
  [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_.get(); }

 private:
  TlsContext(std::shared_ptr<ssl_ctx_st> context, std::shared_ptr<const std::vector<crypto::Sha256Digest>> pins);
  std::shared_ptr<const std::vector<crypto::Sha256Digest>> pins_;
  std::shared_ptr<ssl_ctx_st> context_;
};

/// What OpenSSL says about the latest failure of this thread; empties its queue.
[[nodiscard]] std::string tls_failure();

}  // namespace intaglio::protocol::wire
