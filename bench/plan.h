#pragma once

#include <filesystem>
#include <optional>

#include "crypto/public_key.h"
#include "protocol/wire.h"

namespace intaglio::bench {

/// An authorisation that the signer gave: what may be signed, with what.
struct Authorisation {
  std::string credential, sad;
  std::vector<Bytes> digests;
  crypto::PublicKey key;
};

/// The next digests of one authorisation.
struct Portion {
  const Authorisation* authorisation;
  std::span<const Bytes> digests;
};

/// What run.mjs prepared for one cell: where the services are, who may call them, and the work. Each digest is given out once.
class Plan {
 public:
  [[nodiscard]] static Plan read(const std::filesystem::path& file);

  /// Thread-safe; nothing when the plan is used up or has fewer than `count` left in each authorisation.
  [[nodiscard]] std::optional<Portion> next(std::size_t count);

  std::uint16_t https_port = 0;
  std::string ca_file, access_token, client_id;
  std::string certificate_file, key_file;  ///< of the TLS client, PEM; empty: none
  std::string sign_algo, sign_algo_params;
  crypto::SignatureSuite suite = crypto::SignatureSuite::ecdsa_sha256;
  protocol::wire::ClientConfig sam;
  std::vector<Authorisation> authorisations;
  std::string path;  ///< where `bodies` are posted
  std::vector<std::vector<std::string>> bodies;  ///< JSON, a list for each signer, to be sent in its order

 private:
  std::unique_ptr<std::atomic<std::size_t>> given_ = std::make_unique<std::atomic<std::size_t>>(0);
};

}  // namespace intaglio::bench
