#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/routes.h"
#include "protocol/service.h"

namespace intaglio::ssa::signer {

/// A short-term certificate for a one-time key, from the SAM's assertion and request: DER, leaf first.
using ShortTermIssuer = std::function<Result<std::vector<Bytes>>(std::string_view key_assertion, ByteView csr)>;

/// Certificates that were issued for one-time keys whose sessions did not sign, until the SAM has recorded them with the proof that
/// their keys are destroyed. Told to the log at once; kept in memory, since the certification authority's log holds every certificate and
/// the SAM's every signature. Thread-safe.
class OrphanReports {
 public:
  explicit OrphanReports(std::shared_ptr<protocol::SamService> sam) : sam_(std::move(sam)) {}
  /// Reports it now, or keeps it when the SAM does not take it yet.
  void add(const KeyId& key, Bytes certificate);
  /// Tries again what waits. From time to time.
  void retry();
  [[nodiscard]] std::size_t waiting();

 private:
  struct Orphan {
    KeyId key;
    Bytes certificate;
  };
  /// Whether there is nothing more to do about it.
  [[nodiscard]] bool told(const Orphan& orphan);

  std::shared_ptr<protocol::SamService> sam_;
  std::mutex mutex_;
  std::vector<Orphan> waiting_;
};

/// What a session gave: what the signer's side needs to complete its documents.
struct OneTimeOutcome {
  KeyId key;
  std::vector<Bytes> certificates;  ///< DER, leaf first
  protocol::OneTimeSigned made;
};
/// The whole session over one connection: identification, certificate, signatures. It ends, and its key with it, whatever comes.
[[nodiscard]] Result<OneTimeOutcome> run_session(protocol::SamService& sam, const ShortTermIssuer& issue, OrphanReports& orphans,
                                                 std::string_view sap_message, const std::string& client_address);
[[nodiscard]] http::Response answer_of(const OneTimeOutcome& outcome);

}  // namespace intaglio::ssa::signer
