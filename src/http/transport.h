#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http/server.h"

struct ssl_ctx_st;
struct ssl_st;

namespace intaglio::http {

/// TLS 1.3 with our certificate; with a client CA, a client certificate of it is required; with
/// any_client_certificate, one that anybody made. No tickets, no resumption, no early data.
/// Refused with `configuration` when a file cannot be read the key is not the certificate's, or both are asked for.
[[nodiscard]] Result<std::shared_ptr<ssl_ctx_st>> make_tls_context(const ListenerConfig& config);

/// Bytes over a non-blocking socket, in TLS or plain. Owns neither the socket nor the waiting: each call says what to wait for.
/// An idle one keeps no buffers.
class Transport {
 public:
  enum class Outcome { done, wait_read, wait_write, closed };

  /// `context`: null for plain.
  Transport(int descriptor, ssl_ctx_st* context);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  Outcome handshake();
  /// done: `count` bytes, at least one, stand at the start of `buffer`.
  Outcome read(std::span<char> buffer, std::size_t& count);
  /// done: `bytes` is empty, all of it was taken.
  Outcome write(std::string_view& bytes);
  /// Says that no more bytes follow, so that the peer reads the last answer before the end.
  void finish();
  /// True when bytes were received already that no event will announce again.
  [[nodiscard]] bool has_pending() const;
  [[nodiscard]] Bytes peer_certificate() const;

 private:
  [[nodiscard]] Outcome judge(int result) const;
  struct Free {
    void operator()(ssl_st* ssl) const noexcept;
  };
  int descriptor_;
  std::unique_ptr<ssl_st, Free> ssl_;
};

}  // namespace intaglio::http
