#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "crypto/cmp/client.h"
#include "registration/key_requests.h"
#include "registration/one_at_a_time.h"
#include "registration/unsettled_certificates.h"

namespace intaglio::registration {

/// Certificates for keys from an external CA by CMP, from the request to the confirmation. No thread waits for a CA that lets us wait: its
/// transaction is put aside until somebody asks again, by this node: another one has no turn for the key meanwhile. What the CA issued is kept before it is told anything, and is settled with it later
/// when an answer is lost: confirmed again, or revoked. What the database does not take is not the key's: it is kept in memory, revoked, and
/// named in the log (`registration.certificate_unkept`) as long as that fails. Thread-safe.
class CmpIssuance {
 public:
  CmpIssuance(crypto::CmpClient client, std::shared_ptr<KeyRequests> requests, std::shared_ptr<UnsettledCertificates> unsettled,
              std::shared_ptr<storage::Leases> leases, std::shared_ptr<const Clock> clock, std::size_t max_waiting);

  /// The certificate and its issuer, leaf first, kept as the key's (KeyRequests::issued). Refused: `busy` (the CA waits still, or too many
  /// keys wait; ask again), and what CmpRequest::proceed refuses. A second certificate is asked for only when the first one is ended.
  [[nodiscard]] Result<std::vector<Bytes>> certify(const KeyRequest& request);

  /// Takes up what is open: certificates that are not settled, and requests whose CA may have decided. Ends after a minute, and goes on
  /// from there the next time. Run by one thread, at start and from time to time.
  void settle();

 private:
  struct Waiting {
    crypto::CmpRequest request;
    UnixTime not_before;
  };
  [[nodiscard]] Result<std::vector<Bytes>> certify_in_turn(const KeyRequest& request);
  /// The path when the certificate is confirmed; nothing when it is ended.
  [[nodiscard]] Result<std::optional<std::vector<Bytes>>> settle_one(const KeyRequest& request, const crypto::CmpIssued& issued);
  [[nodiscard]] Result<crypto::CmpConfirmation> confirmation_of(const crypto::CmpIssued& issued) const;
  [[nodiscard]] Status withdraw(const KeyRequest& request, const crypto::CmpIssued& issued);
  /// Withdraws what the CA issued for the key and no row holds; refused while that cannot be done.
  [[nodiscard]] Status end_unkept(const KeyRequest& request);
  [[nodiscard]] Result<Waiting> take_or_begin(const KeyRequest& request);
  void put_aside(const KeyId& key, Waiting waiting);
  [[nodiscard]] bool waits(const KeyId& key);
  [[nodiscard]] std::vector<KeyId> due_keys();
  Status take_up(const KeyId& key);

  crypto::CmpClient client_;
  std::shared_ptr<KeyRequests> requests_;
  std::shared_ptr<UnsettledCertificates> unsettled_;
  std::shared_ptr<const Clock> clock_;
  OneAtATime turns_;
  std::mutex mutex_;
  std::map<std::string, Waiting> waiting_;
  std::map<std::string, crypto::CmpIssued> unkept_;  ///< refused, perhaps in force, and not in the database when it should have been
  const std::size_t max_waiting_;
  std::string settled_until_;
};

}  // namespace intaglio::registration
