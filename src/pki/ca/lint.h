#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/inspection.h"
#include "pki/ca/identity.h"
#include "pki/ca/profile.h"

namespace intaglio::pki {

/// What a signer's certificate is measured against.
struct LintContext {
  const Profile& profile;
  const Identity& identity;
  const crypto::CertificateFacts& issuer;  ///< the issuing CA's certificate
  const crypto::PublicKey& key;            ///< the key that the assertion names
  std::string_view signature_algorithm;    ///< dotted
  bool qualified;                          ///< the authority may claim QcCompliance
};

/// One rule: what must hold, and where it stands. `holds` sees the certificate as it was parsed back.
struct LintRule {
  std::string_view name, clause;
  bool (*holds)(const crypto::CertificateFacts& certificate, const LintContext& context);
};

/// All rules, in the order of a certificate's members.
[[nodiscard]] const std::vector<LintRule>& lint_rules();
/// The names and clauses of the rules that do not hold; empty when the certificate may leave.
[[nodiscard]] std::vector<std::string> lint(const crypto::CertificateFacts& certificate, const LintContext& context);

}  // namespace intaglio::pki
