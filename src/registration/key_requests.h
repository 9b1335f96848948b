#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/service.h"
#include "storage/database.h"

namespace intaglio::registration {

/// The tables of this room.
[[nodiscard]] const std::vector<storage::Migration>& migrations();

/// A key that a signer made and that waits for its certificate.
struct KeyRequest {
  KeyId key;
  SignerId signer;
  Bytes csr;                        ///< PKCS#10
  std::string key_assertion;        ///< JWS of the SAM
  std::vector<Bytes> certificates;  ///< DER, leaf first; empty until issued
};

/// Keys on their way to a certificate. What stands here is public: a CSR, a signed statement, certificates.
class KeyRequests {
 public:
  KeyRequests(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);
  /// Durable when it returns; `conflict` when the key is known.
  Status keep(const protocol::KeyGenerated& generated, const SignerId& signer);
  [[nodiscard]] Result<KeyRequest> find(const KeyId& key);  ///< not_found
  /// The key's certificate from here on; what was open of it (UnsettledCertificates) is settled with that.
  Status issued(const KeyId& key, const std::vector<Bytes>& certificates);

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::registration
