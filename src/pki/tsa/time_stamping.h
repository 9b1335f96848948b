#pragma once

#include <memory>
#include <mutex>

#include "pki/environment.h"
#include "pki/tsa/decision.h"

namespace intaglio::pki {

/// A time-stamping authority with one unit (RFC 3161, RFC 5816, EN 319 421, EN 319 422). A token exists for the world when its row
/// and its audit entry are durable. Thread-safe.
class TimeStamping {
 public:
  /// Refused (`certificate_invalid`, `configuration`): the certificate is not the issuer's, not for time-stamping alone, or of
  /// another key. `issuer` and what the environment refers to outlive it.
  [[nodiscard]] static Result<std::unique_ptr<TimeStamping>> open(TimestampPolicy policy, const Issuer& issuer, crypto::Certificate unit,
                                                                  std::shared_ptr<const crypto::Signer> signer, Environment environment);

  /// Always a whole TimeStampResp, DER: granted, or a rejection with its PKIFailureInfo. Each token is verified with the request
  /// before it is recorded, and recorded before it leaves.
  [[nodiscard]] Bytes answer(ByteView request);
  /// Whether the clock can be trusted to the accuracy that tokens state; a change of that is audited (EN 319 421, 7.7.2).
  [[nodiscard]] Status watch_clock();
  /// When the unit's key signs no more.
  [[nodiscard]] UnixTime key_end() const noexcept { return key_end_; }

 private:
  TimeStamping(TimestampPolicy policy, const Issuer& issuer, crypto::Certificate unit, UnixTime key_end,
               std::shared_ptr<const crypto::Signer> signer, Environment environment);
  [[nodiscard]] Result<Bytes> grant(const crypto::TimestampRequest& request, ByteView request_der);
  [[nodiscard]] Status check_unit(UnixTime now) const;
  [[nodiscard]] Status check_not_revoked(storage::Reader& reader) const;
  [[nodiscard]] Status check_written(ByteView response, ByteView request, const crypto::TimestampInfo& info, UnixTime now) const;
  Status record(const crypto::TimestampInfo& info, const crypto::TimestampRequest& request, ByteView response);

  TimestampPolicy policy_;
  const Issuer& issuer_;
  crypto::Certificate unit_;
  std::string unit_serial_;
  UnixTime key_end_;
  std::shared_ptr<const crypto::Signer> signer_;
  Environment environment_;
  std::mutex clock_mutex_;
  bool clock_good_ = true;  ///< as the log says
};

}  // namespace intaglio::pki
