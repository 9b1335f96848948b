#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/algorithms.h"
#include "oauth/bounded_cache.h"
#include "ssa/credential_directory.h"
#include "ssa/sam_keys.h"
#include "ssa/transactions.h"

namespace intaglio::ssa {

/// A SAD whose signature was verified, with what was opened under it. Shared by the requests that show it.
class KnownSad {
 public:
  struct Claims {
    std::string jti, signer, key;
    Bytes list_digest;
    std::uint64_t count;
    UnixTime issued, expires;
  };
  KnownSad(Claims claims, std::string client, protocol::Transaction transaction);
  /// What is left of `earlier`, under the SAD that follows it.
  KnownSad(Claims claims, const KnownSad& earlier);

  [[nodiscard]] const Claims& claims() const noexcept { return claims_; }
  [[nodiscard]] const std::string& client() const noexcept { return client_; }
  [[nodiscard]] const protocol::Transaction& transaction() const noexcept { return transaction_; }

  /// Signatures delivered under it so far: an early filter, in memory. The SAM alone counts with authority (TC-4).
  [[nodiscard]] bool used_up() const;
  /// Each digest has an occurrence in the approved list that was not delivered yet.
  [[nodiscard]] bool covers(const std::vector<Bytes>& digests) const;
  void delivered(const std::vector<Bytes>& digests);

 private:
  Claims claims_;
  std::string client_;
  protocol::Transaction transaction_;
  mutable std::mutex mutex_;
  std::map<Bytes, std::uint64_t> free_;  ///< occurrences left, by digest
  std::uint64_t left_;
};

/// Appendix A's checks before the SAM is called: signature of the SAD, its age, unused, digests approved, certificate active.
/// They spare work and give early answers; the SAM makes every one of them again.
class SadFilter {
 public:
  struct Use {
    std::string_view sad;
    std::string_view client;
    const KeyId& key;
    crypto::SignatureSuite suite;
    const std::vector<Bytes>& digests;
  };

  SadFilter(std::shared_ptr<SamKeys> keys, std::shared_ptr<Transactions> transactions, std::shared_ptr<CredentialDirectory> credentials,
            std::shared_ptr<const Clock> clock, std::chrono::seconds max_age);

  /// The SAD that admits this use. Refused: sad_invalid, sad_expired, replayed, credential_unknown, hash_not_authorised,
  /// algorithm_refused, credential_disabled, certificate_invalid; or the error of what was asked.
  [[nodiscard]] Result<std::shared_ptr<KnownSad>> admit(const Use& use);
  /// The same before a SAD is extended: no suite is chosen yet, and there may be no digests.
  struct Extension {
    std::string_view sad;
    std::string_view client;
    const KeyId& key;
    const std::vector<Bytes>& digests;
  };
  [[nodiscard]] Result<std::shared_ptr<KnownSad>> admit(const Extension& extension);
  /// The SAD that follows takes over what was delivered under this one. Refused (`internal`) when it is of another authorisation.
  Status follow(const KnownSad& earlier, std::string_view sad);
  /// What a SAD that the SAM has just issued says, its signature verified.
  [[nodiscard]] Result<KnownSad::Claims> read(std::string_view sad);

 private:
  [[nodiscard]] Result<std::shared_ptr<KnownSad>> recognise(std::string_view sad, UnixTime now);
  [[nodiscard]] Status check_time(const KnownSad& sad, UnixTime now) const;
  [[nodiscard]] static Status check_scope(const KnownSad& sad, std::string_view client, const KeyId& key);
  [[nodiscard]] static Status check_suite(const KnownSad& sad, crypto::SignatureSuite suite);
  [[nodiscard]] static Status check_digests(const KnownSad& sad, const std::vector<Bytes>& digests);
  [[nodiscard]] static Status check_credential(const KnownSad& sad, const Credential& credential, UnixTime now);
  [[nodiscard]] static Status check_suite_offered(const Credential& credential, crypto::SignatureSuite suite);

  std::shared_ptr<SamKeys> keys_;
  std::shared_ptr<Transactions> transactions_;
  std::shared_ptr<CredentialDirectory> credentials_;
  std::shared_ptr<const Clock> clock_;
  std::chrono::seconds max_age_;
  oauth::BoundedCache<std::shared_ptr<KnownSad>> known_;
};

}  // namespace intaglio::ssa
