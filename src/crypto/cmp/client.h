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
  std::chrono::seconds deadline{60};     ///< for a whole transaction
};

/// Carries one message to the authority and its answer back, bounded in time and size by whoever makes it; may be called from any thread.
using CmpExchange = std::function<Result<Bytes>(ByteView message)>;
/// Waits as long as an authority asked for, never longer than the deadline.
using CmpWait = std::function<void(std::chrono::seconds)>;

/// A client of the certificate management protocol (RFC 4210; RFC 9483, 4.1.4, 4.2, 4.4) over OpenSSL's. Every message is protected both
/// ways, errors too; transaction id and nonces are OpenSSL's to check. Thread-safe.
class CmpClient {
 public:
  /// Refused (`configuration`): no protection or two, a key that is not the certificate's, no issuer, no anchor.
  [[nodiscard]] static Result<CmpClient> make(CmpConfig config, CmpExchange exchange, CmpWait wait, std::shared_ptr<const Clock> clock);

  /// p10cr: the certificate and its issuer, leaf first, after check_issued and the authority's pkiConf. What does not pass is refused
  /// to the authority in certConf. Refused: `not_authorised` (the authority said no), `certificate_invalid` (what it issued does not
  /// pass), `busy` (still waiting at the deadline), `internal` (no message of this authority in this transaction), and what the exchange says.
  [[nodiscard]] Result<std::vector<Bytes>> request(ByteView csr) const;
  /// rr: asks to revoke, to hold (certificateHold) or to release (removeFromCRL) this certificate. Refused as above.
  [[nodiscard]] Status revoke(const Certificate& certificate, RevocationReason reason) const;

 private:
  struct State;
  explicit CmpClient(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace intaglio::crypto
