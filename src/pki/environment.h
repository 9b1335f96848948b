#pragma once

#include <memory>

#include "audit/log.h"
#include "base/clock.h"
#include "crypto/inspection.h"
#include "crypto/signer.h"
#include "storage/database.h"

namespace intaglio::pki {

/// What every part of the PKI works with. The owner keeps database and log alive longer than the parts.
struct Environment {
  storage::Database& database;
  audit::Log& audit;
  std::shared_ptr<const Clock> clock;
};

/// A certification authority's certificate and the key that signs in its name.
struct Issuer {
  crypto::Certificate certificate;
  crypto::CertificateFacts facts;
  std::shared_ptr<const crypto::Signer> signer;

  /// Refused (`configuration`): the key is not the certificate's, or the certificate is not an authority's (basicConstraints,
  /// keyCertSign, cRLSign, subjectKeyIdentifier).
  [[nodiscard]] static Result<Issuer> make(crypto::Certificate certificate, std::shared_ptr<const crypto::Signer> signer);
};

}  // namespace intaglio::pki
