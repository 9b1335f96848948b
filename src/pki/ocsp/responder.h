#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "crypto/revocation.h"
#include "pki/environment.h"

namespace intaglio::pki {

/// OCSPResponseStatus (RFC 6960, 4.2.1).
enum class OcspFailure : std::uint8_t { malformed_request = 1, internal_error = 2, try_later = 3 };

/// Where a certificate stands. There is no default: `good` is said only of what was issued and not revoked.
class OcspStatus {
 public:
  [[nodiscard]] static OcspStatus good() { return OcspStatus(crypto::CertificateStatus::good, std::nullopt); }
  [[nodiscard]] static OcspStatus revoked(crypto::RevokedCertificate at) {
    return OcspStatus(crypto::CertificateStatus::revoked, std::move(at));
  }
  [[nodiscard]] static OcspStatus unknown() { return OcspStatus(crypto::CertificateStatus::unknown, std::nullopt); }
  [[nodiscard]] Bytes encode() const;  ///< CertStatus

 private:
  OcspStatus(crypto::CertificateStatus status, std::optional<crypto::RevokedCertificate> revoked)
      : status_(status), revoked_(std::move(revoked)) {}
  crypto::CertificateStatus status_;
  std::optional<crypto::RevokedCertificate> revoked_;
};

/// An OCSPResponse, DER, and how long it holds. Nothing for a refusal and for an answer to a nonce, which is one client's: neither
/// is cached (RFC 5019, 6.2).
struct OcspReply {
  struct Window {
    UnixTime this_update, next_update;
  };
  Bytes der;
  std::optional<Window> window;
};

/// Answers for the issuing CA with a key of its own, whose certificate the CA issued for that (RFC 6960, 4.2.2.2).
class Responder {
 public:
  Responder(const Issuer& issuer, crypto::Certificate certificate, std::shared_ptr<const crypto::Signer> signer,
            std::chrono::seconds validity, Environment environment);
  /// After a renewal.
  void use_certificate(crypto::Certificate certificate);
  /// Always a whole OCSPResponse, DER: a refusal is one of OcspFailure, which is not signed.
  [[nodiscard]] OcspReply reply(ByteView request);
  [[nodiscard]] Bytes answer(ByteView request) { return reply(request).der; }

 private:
  [[nodiscard]] Result<OcspReply> answer_parsed(const crypto::OcspRequest& request);
  [[nodiscard]] Result<OcspStatus> status_of(storage::Reader& reader, const crypto::OcspCertificateId& certificate) const;
  const Issuer& issuer_;
  mutable std::mutex mutex_;
  crypto::Certificate certificate_;
  std::shared_ptr<const crypto::Signer> signer_;
  std::chrono::seconds validity_;
  Environment environment_;
};

}  // namespace intaglio::pki
