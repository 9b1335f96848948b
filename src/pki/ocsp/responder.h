#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "crypto/revocation.h"
#include "pki/environment.h"
#include "pki/ocsp/shelf.h"
#include "pki/store.h"

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
  [[nodiscard]] static OcspStatus of(const StoredStatus& stored);
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

struct ResponderConfig {
  std::chrono::seconds validity;  ///< nextUpdate - thisUpdate
  std::size_t preproduced = 0;    ///< answers that are signed before they are asked for, at most; 0: none
  bool archive = true;            ///< state that ended certificates are answered for, since the issuing CA's beginning (RFC 6960, 4.4.4)
};

/// Answers for the issuing CA with a key of its own, whose certificate the CA issued for that (RFC 6960, 4.2.2.2). A question without
/// nonce about one certificate is answered from the shelf where its answer lies there; any other, and each one that the shelf does not
/// know, is answered live. A change of status takes the answers of before from the shelf before anybody is told that it was made.
class Responder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Responder>> open(ResponderConfig config, const Issuer& issuer,
                                                               crypto::Certificate certificate,
                                                               std::shared_ptr<const crypto::Signer> signer, Environment environment);
  /// After a renewal.
  void use_certificate(crypto::Certificate certificate);
  [[nodiscard]] crypto::Certificate certificate() const;
  /// Always a whole OCSPResponse, DER: a refusal is one of OcspFailure, which is not signed.
  [[nodiscard]] OcspReply reply(ByteView request);
  [[nodiscard]] Bytes answer(ByteView request) { return reply(request).der; }

  /// After a durable change: what the shelf said of this certificate is gone when this returns, and is signed anew where that succeeds.
  void status_changed(std::string_view serial_hex);
  /// Signs a batch of answers: those past half of their validity, then, since the start, those of certificates in force. At most `most`
  /// of them; gives whether more may be due.
  [[nodiscard]] Result<bool> renew(std::size_t most);
  [[nodiscard]] std::size_t preproduced() const { return shelf_.size(); }

 private:
  /// Between what an answer says of its time.
  struct Moment {
    UnixTime now, next_update;
    crypto::Certificate certificate;  ///< of the responder
  };
  Responder(ResponderConfig config, const Issuer& issuer, crypto::Certificate certificate, std::shared_ptr<const crypto::Signer> signer,
            std::array<Bytes, ocsp_id_forms.size()> issuer_parts, Environment environment);
  [[nodiscard]] Result<Moment> moment() const;
  [[nodiscard]] std::optional<ShelfKey> shelf_key(const crypto::OcspRequest& request) const;
  [[nodiscard]] Bytes certificate_id(const ShelfKey& key) const;
  [[nodiscard]] std::optional<OcspReply> from_shelf(const crypto::OcspRequest& request) const;
  [[nodiscard]] Result<OcspReply> answer_live(const crypto::OcspRequest& request);
  [[nodiscard]] Bytes encode_single(ByteView certificate_id, const OcspStatus& status, const Moment& moment) const;
  [[nodiscard]] Bytes encode_data(const std::vector<Bytes>& answers, ByteView nonce, const Moment& moment) const;
  Status produce(const std::vector<ShelfKey>& keys);

  ResponderConfig config_;
  const Issuer& issuer_;
  mutable std::mutex mutex_;
  crypto::Certificate certificate_;
  std::shared_ptr<const crypto::Signer> signer_;
  const crypto::SignatureSuite suite_;
  std::array<Bytes, ocsp_id_forms.size()> issuer_parts_;  ///< of CertIDs, by form
  Environment environment_;
  Shelf shelf_;
  std::optional<std::string> filled_to_ = std::string();  ///< serial number; nothing when the shelf was filled once
};

}  // namespace intaglio::pki
