#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "oauth/bounded_cache.h"
#include "protocol/service.h"

namespace intaglio::ssa {

/// CSC's cert.status; `none` while no certificate is bound.
enum class CertificateStatus { none, valid, expired, revoked, suspended };
[[nodiscard]] std::string_view name_of(CertificateStatus status) noexcept;

/// What stands in a leaf certificate, parsed once.
struct LeafFacts {
  UnixTime not_before, not_after;
  std::string subject, issuer, serial_hex;
  std::string organisation, common_name;  ///< empty when absent
};

/// The SAM's facts of a credential with its leaf certificate read.
struct Credential {
  protocol::CredentialFacts facts;
  std::optional<LeafFacts> leaf;

  [[nodiscard]] CertificateStatus status(UnixTime now) const noexcept;
  [[nodiscard]] bool enabled() const noexcept { return facts.state == protocol::KeyState::assigned; }
};
[[nodiscard]] Result<Credential> read_credential(protocol::CredentialFacts facts);

/// Credentials as the SAM last told them, for a few seconds. Thread-safe.
class CredentialDirectory {
 public:
  CredentialDirectory(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<const Clock> clock, std::chrono::seconds keep);

  /// credential_unknown when the SAM knows no such key.
  [[nodiscard]] Result<std::shared_ptr<const Credential>> find(const KeyId& key);
  /// Asks the SAM each time. Refused (`internal`) when an entry is another signer's.
  [[nodiscard]] Result<std::vector<Credential>> list(const SignerId& signer);
  /// Something was changed through us: ask again.
  void forget(const KeyId& key);

 private:
  std::shared_ptr<protocol::SamService> sam_;
  std::shared_ptr<const Clock> clock_;
  std::chrono::seconds keep_;
  oauth::BoundedCache<std::shared_ptr<const Credential>> known_;
};

}  // namespace intaglio::ssa
