#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/certificate.h"
#include "crypto/cmp/issued.h"
#include "crypto/revocation.h"

namespace intaglio::crypto {

inline constexpr std::size_t max_cmp_message_bytes = std::size_t{64} * 1024;
inline constexpr std::size_t max_cmp_extra_certificates = 8;

/// Protection by a signature (RFC 9483, 1.5): our certificate and its key, and the one certificate whose signature is believed.
struct CmpSignatureProtection {
  Certificate certificate;
  std::vector<Certificate> chain;  ///< sent along, without the certificate itself
  Secret private_key;              ///< PEM, unencrypted PKCS#8
  Certificate authority;           ///< what protects the authority's messages; pinned
};
/// Protection by a shared secret, PasswordBasedMac with SHA-256 (RFC 4210, 5.1.3.1).
struct CmpSecretProtection {
  std::string reference;  ///< what the authority knows the secret by
  Secret secret;
};

struct CmpConfig {
  std::optional<CmpSignatureProtection> signature;  ///< exactly one of the two
  std::optional<CmpSecretProtection> secret;
  IssuedRules rules;
  bool allow_modifications = false;      ///< takes a certificate that was granted "with modifications" and passes every other check
  std::size_t max_polls = 20;            ///< how often a waiting authority is asked again
  std::chrono::seconds deadline{60};     ///< for the messages of one call
};

/// Carries one message to the authority and its answer back, bounded in time and size by whoever makes it; may be called from any thread.
using CmpExchange = std::function<Result<Bytes>(ByteView message)>;

/// What an authority issued, before it was told whether that is taken. Public.
struct CmpIssued {
  std::vector<Bytes> certificates;  ///< DER as they came, leaf first
  bool taken = false;               ///< it passed check_issued
  bool implicit = false;            ///< the authority waits for no confirmation (RFC 4210, 5.1.1.1)
  Bytes confirmation{};             ///< certConf as it goes out; empty while there is none
};
/// What makes an authority's certificate outlive a lost answer and a crash.
struct CmpJournal {
  /// Durable when it returns. Called before anything is sent about the certificate, and again with certConf before that is sent. What it
  /// does not keep is not taken.
  std::function<Status(const CmpIssued& issued)> keep;
  /// The authority knows that its certificate is not taken, and revokes it (RFC 4210, 5.2.8): nothing is open.
  std::function<void()> refused;
};

enum class CmpConfirmation {
  confirmed,  ///< the authority has the certificate as one that was taken
  unknown     ///< it says, protected, that it cannot be confirmed
};

namespace detail {
struct CmpParty;
struct CmpTransaction;
}  // namespace detail

/// One request: p10cr, then pollReq as long as the authority waits, then certConf. Not thread-safe; may go from thread to thread.
class CmpRequest {
 public:
  CmpRequest(CmpRequest&&) noexcept;
  CmpRequest& operator=(CmpRequest&&) noexcept;
  ~CmpRequest();

  /// Asks once; waits for nothing but the authority's messages. The certificate and its issuer, leaf first, after check_issued and the
  /// authority's pkiConf; nothing while the authority waits. Refused: `not_authorised` (the authority said no), `certificate_invalid`
  /// (what it issued does not pass; it is told so), `busy` (asked often enough, or not finished before the deadline), `internal` (no message of
  /// this authority in this transaction), and what exchange and journal say.
  [[nodiscard]] Result<std::optional<std::vector<Bytes>>> proceed();
  /// After a refusal: the authority waits still, and was not reached.
  [[nodiscard]] bool open() const noexcept;
  /// After a refusal: what was issued, is not taken, and may be in force at the authority all the same. It is all that is known of it where
  /// the journal did not keep it.
  [[nodiscard]] std::optional<CmpIssued> left_in_force() const;
  /// How long the authority does not want to be asked again: a second to a day, whatever it says.
  [[nodiscard]] std::chrono::seconds check_after() const noexcept;

 private:
  friend class CmpClient;
  explicit CmpRequest(std::unique_ptr<detail::CmpTransaction> transaction);
  std::unique_ptr<detail::CmpTransaction> transaction_;
};

/// A client of the certificate management protocol (RFC 4210; RFC 9483, 4.1.4, 4.2, 4.4) over OpenSSL's. Every message is protected both
/// ways, errors too; transaction id and nonces are OpenSSL's to check. Thread-safe.
class CmpClient {
 public:
  /// Refused (`configuration`): no protection or two, a key that is not the certificate's, no issuer, no anchor.
  [[nodiscard]] static Result<CmpClient> make(CmpConfig config, CmpExchange exchange, std::shared_ptr<const Clock> clock);

  /// p10cr for this CSR; nothing is sent yet.
  [[nodiscard]] Result<CmpRequest> begin(ByteView csr, CmpJournal journal) const;
  /// What was kept (`certificates` of CmpIssued) judged again, as of now: the certificate and its issuer, leaf first.
  [[nodiscard]] Result<std::vector<Bytes>> judge(const std::vector<Bytes>& certificates, ByteView csr) const;
  /// Sends a certConf again, as it stands, whose answer was lost. Refused where no answer of this authority to it came.
  [[nodiscard]] Result<CmpConfirmation> confirm_again(ByteView confirmation) const;
  /// rr: asks to revoke, to hold (certificateHold) or to release (removeFromCRL) this certificate. Refused as a request is.
  [[nodiscard]] Status revoke(const Certificate& certificate, RevocationReason reason) const;
  /// rr for a certificate that nobody will use (cessationOfOperation); done also when the authority says that it is revoked.
  [[nodiscard]] Status withdraw(const Certificate& certificate) const;

 private:
  explicit CmpClient(std::shared_ptr<const detail::CmpParty> party) : party_(std::move(party)) {}
  std::shared_ptr<const detail::CmpParty> party_;
};

}  // namespace intaglio::crypto
