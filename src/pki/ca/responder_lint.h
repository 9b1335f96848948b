#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/inspection.h"

namespace intaglio::pki {

/// What an OCSP responder's certificate is measured against.
struct ResponderLintContext {
  const crypto::CertificateFacts& issuer;  ///< the issuing CA's certificate
  const crypto::PublicKey& key;            ///< the responder's
  std::chrono::seconds validity;           ///< at most
  std::string_view signature_algorithm;    ///< dotted
};

/// One rule: what must hold, and where it stands.
struct ResponderLintRule {
  std::string_view name, clause;
  bool (*holds)(const crypto::CertificateFacts& certificate, const ResponderLintContext& context);
};

/// All rules, in the order of a certificate's members.
[[nodiscard]] const std::vector<ResponderLintRule>& responder_lint_rules();
/// The names and clauses of the rules that do not hold; empty when the certificate may be used.
[[nodiscard]] std::vector<std::string> lint_responder(const crypto::CertificateFacts& certificate, const ResponderLintContext& context);

}  // namespace intaglio::pki
