#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/digest.h"

namespace intaglio::protocol {

/// SHA-256("intaglio/proposal/1" | id | operation | payload), every part a field (base/bytes.h); `payload` is canonical JSON. The
/// observer computes it from what he was shown and names it in his approval.
[[nodiscard]] crypto::Sha256Digest proposal_digest(std::string_view id, std::string_view operation, std::string_view payload);

/// The SAM as its privileged users reach it, on a listener of its own and never through the SSA (TC-13; api/management/README.md).
class ManagementService {
 public:
  virtual ~ManagementService() = default;
  /// Whether a TLS peer with this key is let in. It is asked again for each request.
  [[nodiscard]] virtual bool knows(const crypto::Sha256Digest& peer_spki) = 0;
  /// One signed request, compact JWS of at most 64 KiB; the answer is JSON text. Unlike the service for the SSA, the reason of a
  /// refusal goes out: the peer is a user whom the SAM knows.
  [[nodiscard]] virtual Result<std::string> handle(const crypto::Sha256Digest& peer_spki, std::string_view compact) = 0;
};

}  // namespace intaglio::protocol
