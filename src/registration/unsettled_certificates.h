#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "crypto/cmp/client.h"
#include "storage/database.h"

namespace intaglio::registration {

/// Certificates that an external CA issued and that are not settled with it: neither known to be confirmed nor known to be ended. One a key;
/// they outlive a lost answer and a crash, and KeyRequests::issued ends them. Public data.
class UnsettledCertificates {
 public:
  explicit UnsettledCertificates(std::shared_ptr<storage::Database> database) : database_(std::move(database)) {}

  /// Durable when it returns; takes the place of what stood there for the key.
  Status keep(const KeyId& key, const crypto::CmpIssued& issued);
  [[nodiscard]] Result<std::optional<crypto::CmpIssued>> find(const KeyId& key);
  /// Keys with one, at most `limit`, after the given one.
  [[nodiscard]] Result<std::vector<KeyId>> keys(const std::string& after, std::size_t limit);
  /// It is ended: the CA has it as refused or revoked.
  Status forget(const KeyId& key);

 private:
  std::shared_ptr<storage::Database> database_;
};

}  // namespace intaglio::registration
