#pragma once

#include <atomic>

#include "sam/sign/opening.h"
#include "sam/sign/verifier.h"

/// The second half of TC-4, and TC-5: reserve and intend durably, sign, verify, record durably, release.
namespace intaglio::sam {

class Signing {
 public:
  explicit Signing(Core& core) : core_(core), verifier_(core) {}

  [[nodiscard]] Result<protocol::SignAnswer> sign(const protocol::SignRequest& request);

  /// This node's reservations that an earlier start left open are burned and reported: they may have been signed. At start.
  Status burn_open_reservations();

  /// Uses of signer keys that have their audit entry, since this start: compared with what the token counts.
  [[nodiscard]] std::uint64_t audited_signatures() const noexcept { return audited_signatures_; }
  void count_audited_signature() noexcept { ++audited_signatures_; }

 private:
  /// A place of the list for one digest of the request: reserved now, or signed before and given again.
  struct Claim {
    std::size_t position;
    std::uint64_t version;  ///< of the occurrence row after the claim
    std::optional<Bytes> earlier_signature;
    audit::EntryReference entry;  ///< intent, or redelivery
  };
  /// What one transaction claimed, and with which key it is to be signed.
  struct Reservation {
    std::vector<Claim> claims;
    std::optional<crypto::PublicKey> certified;
    std::optional<Opening> opening;  ///< in wrapped custody, when there is something to sign
    custody::KeyVault* vault;        ///< in the other modes of custody
  };
  Status reserve(storage::Transaction& transaction, const VerifiedRequest& verified, const protocol::SignRequest& request,
                 Reservation& reservation);
  Status claim_one(storage::Transaction& transaction, const VerifiedRequest& verified, const std::vector<std::size_t>& candidates,
                   std::vector<Claim>& claims);
  [[nodiscard]] Result<custody::KeyRecord> check_key(storage::Transaction& transaction, const VerifiedRequest& verified,
                                                     std::optional<crypto::PublicKey>& certified);
  /// Each claim in turn until the first refusal; what was opened for it is gone from the token when this returns.
  [[nodiscard]] std::vector<custody::VaultOutcome> sign_claims(const VerifiedRequest& verified, const protocol::SignRequest& request,
                                                               const Reservation& reservation);
  [[nodiscard]] Result<crypto::PublicKey> certified_key(const Bytes& certificate, const crypto::Sha256Digest& digest);

  struct Certified {
    crypto::PublicKey key;
    UnixTime not_before, not_after;
    Bytes issuer_der;
    std::string serial_hex;
  };
  Core& core_;
  Verifier verifier_;
  std::atomic<std::uint64_t> audited_signatures_{0};
  std::mutex mutex_;
  std::map<crypto::Sha256Digest, Certified> certified_;  ///< by digest of the certificate: parsing costs more than signing on a curve
};

}  // namespace intaglio::sam
