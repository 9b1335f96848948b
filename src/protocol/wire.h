#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "protocol/management.h"
#include "protocol/nodes.h"
#include "protocol/service.h"

/// The only wire between SSA and SAM: a 4-byte big-endian length (<= 1 MiB) and one protobuf message, request then answer,
/// over TLS 1.3 with both certificates pinned by SHA-256 of their SPKI. No other TLS version, no session tickets, no name checks:
/// the pin is the identity.
namespace intaglio::protocol::wire {

struct TlsIdentity {
  std::string certificate_file, private_key_file;
};

struct ServerConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  TlsIdentity identity;
  std::vector<crypto::Sha256Digest> pinned_peers;  ///< SPKI digests of the SSA nodes
  unsigned max_connections = 256;
  unsigned max_connections_per_peer = std::numeric_limits<unsigned>::max();  ///< of one key
  std::chrono::milliseconds longest_rest = std::chrono::minutes(10);         ///< of a connection without a request
  unsigned workers = 32;
};
class Server {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ServerConfig& config, std::shared_ptr<SamService> service);
  /// The management listener: `pinned_peers` must be empty, the service knows its peers.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ServerConfig& config, std::shared_ptr<ManagementService> service);
  ~Server();
  [[nodiscard]] std::uint16_t port() const noexcept;
  void stop();

 private:
  struct State;
  using TlsPeers = std::function<bool(const crypto::Sha256Digest&)>;
  using Serving = std::function<Bytes(const crypto::Sha256Digest&, std::unique_ptr<OneTimeSession>&, ByteView)>;
  explicit Server(std::unique_ptr<State> state);
  [[nodiscard]] static Result<std::unique_ptr<Server>> open(const ServerConfig& config, TlsPeers peers, Serving serving);
  std::unique_ptr<State> state_;
};

struct ClientConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  TlsIdentity identity;
  crypto::Sha256Digest pinned_peer;
  unsigned connections = 32;
  std::chrono::seconds timeout{20};
  std::chrono::seconds connect_timeout{5};
  std::chrono::milliseconds patience{5000};  ///< for a free connection; then `busy`
};
/// A SamService whose calls go over the wire. Connections are kept and re-made; a call that was sent and not answered is
/// never repeated (TC-4): `token_unavailable`/`busy` say that nothing was sent, `storage_unavailable` with detail
/// "outcome unknown" that it was.
[[nodiscard]] Result<std::shared_ptr<SamService>> connect(const ClientConfig& config);

/// Nodes of one SAM in the place of one: what one of them does not take, another is asked for, where that is safe
/// (docs/architecture/nodes.md). "outcome unknown" then says that none of them could settle it.
class SamNodes : public SamService {
 public:
  /// What is known of each node, and its status, in the order of the configuration.
  [[nodiscard]] virtual std::vector<NodeReport> report() = 0;
};
/// One configuration a node; how long a call may take is the first one's.
[[nodiscard]] Result<std::shared_ptr<SamNodes>> connect(const std::vector<ClientConfig>& nodes);
/// One request to the management listener over a connection of its own. The detail of a refusal is the SAM's reason.
[[nodiscard]] Result<std::string> manage(const ClientConfig& config, std::string_view request);

}  // namespace intaglio::protocol::wire
