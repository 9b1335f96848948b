#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "protocol/wire.h"

struct ssl_ctx_st;
struct ssl_st;

namespace intaglio::protocol::wire {

enum class TlsSide { client, server };

/// TLS 1.3 and nothing else: no tickets, no resumption, no renegotiation, and the peer's leaf certificate accepted by the SHA-256
/// of its SPKI alone. Names, dates and issuers decide nothing.
class TlsContext {
 public:
  /// Whether the peer whose leaf has this SPKI is let in.
  using PeerCheck = std::function<bool(const crypto::Sha256Digest&)>;
  /// Refused with `configuration` when a file cannot be read, the key file is open to others, or the key is not the certificate's.
  [[nodiscard]] static Result<TlsContext> create(TlsSide side, const TlsIdentity& identity, PeerCheck let_in);
  [[nodiscard]] ssl_ctx_st* native() const noexcept { return context_.get(); }

 private:
  TlsContext(std::shared_ptr<ssl_ctx_st> context, std::shared_ptr<const PeerCheck> let_in);
  std::shared_ptr<const PeerCheck> let_in_;
  std::shared_ptr<ssl_ctx_st> context_;
};

/// One of these, and nobody else: the pins of a configuration. Refused with `configuration` when there is none.
[[nodiscard]] Result<TlsContext::PeerCheck> one_of(std::vector<crypto::Sha256Digest> pins);
/// SHA-256 of the SPKI of the peer's leaf, once the handshake is done.
[[nodiscard]] Result<crypto::Sha256Digest> peer_spki(const ssl_st* connection);

/// What OpenSSL says about the latest failure of this thread; empties its queue.
[[nodiscard]] std::string tls_failure();

}  // namespace intaglio::protocol::wire
