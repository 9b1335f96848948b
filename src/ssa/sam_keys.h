#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "crypto/public_key.h"
#include "protocol/service.h"

namespace intaglio::ssa {

/// The SAM's published keys, believed because its identity key has the thumbprint that our configuration pins. Asked once and
/// again after a while, never because of what a stranger sent. Thread-safe.
class SamKeys {
 public:
  /// `identity_thumbprint`: RFC 7638, base64url.
  SamKeys(std::shared_ptr<protocol::SamService> sam, std::string identity_thumbprint, std::shared_ptr<const Clock> clock);

  /// The key that SADs are verified with. Refused: the SAM's own error, or `configuration` when it is another SAM.
  [[nodiscard]] Result<crypto::PublicKey> sad_key();
  /// The SAM's publication as it came, once its identity was found to be the pinned one (GET /sic/v1/sam).
  [[nodiscard]] Result<std::string> publication();

 private:
  struct Known {
    std::string publication;
    crypto::PublicKey sad_key;
    UnixTime asked;
  };
  [[nodiscard]] Result<std::shared_ptr<const Known>> known();
  [[nodiscard]] Result<std::shared_ptr<const Known>> ask(UnixTime now) const;

  std::shared_ptr<protocol::SamService> sam_;
  std::string identity_thumbprint_;
  std::shared_ptr<const Clock> clock_;
  std::mutex mutex_;
  std::shared_ptr<const Known> known_;
};

}  // namespace intaglio::ssa
