#include "ssa/credential_directory.h"

#include "base/check.h"
#include "crypto/certificate.h"

namespace intaglio::ssa {
namespace {

constexpr std::size_t max_known = 4096;
constexpr std::string_view organisation_oid = "2.5.4.10";
constexpr std::string_view common_name_oid = "2.5.4.3";

}  // namespace

std::string_view name_of(CertificateStatus status) noexcept {
  switch (status) {
    case CertificateStatus::none: return "none";
    case CertificateStatus::valid: return "valid";
    case CertificateStatus::expired: return "expired";
    case CertificateStatus::revoked: return "revoked";
    case CertificateStatus::suspended: return "suspended";
  }
  panic("a certificate status without a name");
}

CertificateStatus Credential::status(UnixTime now) const noexcept {
  if (!leaf) return CertificateStatus::none;
  if (facts.certificate_revoked) return CertificateStatus::revoked;
  if (facts.state == protocol::KeyState::suspended) return CertificateStatus::suspended;
  // CSC has no word for a certificate that does not hold yet; it can be used as little as one that ended.
  if (now > leaf->not_after || now < leaf->not_before) return CertificateStatus::expired;
  return CertificateStatus::valid;
}

Result<Credential> read_credential(protocol::CredentialFacts facts) {
  std::optional<LeafFacts> leaf;
  if (!facts.certificates.empty()) {
    const auto certificate = crypto::Certificate::parse_der(facts.certificates.front());
    if (!certificate) return Error{ErrorCode::internal, "the certificate of " + facts.key.text() + " does not parse"};
    leaf = LeafFacts{certificate->not_before(),
                     certificate->not_after(),
                     certificate->subject(),
                     certificate->issuer(),
                     certificate->serial_hex(),
                     certificate->subject_attribute(organisation_oid).value_or(""),
                     certificate->subject_attribute(common_name_oid).value_or("")};
  }
  return Credential{std::move(facts), std::move(leaf)};
}

CredentialDirectory::CredentialDirectory(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<const Clock> clock,
                                         std::chrono::seconds keep)
    : sam_(std::move(sam)), clock_(std::move(clock)), keep_(keep), known_(max_known) {}

Result<std::shared_ptr<const Credential>> CredentialDirectory::find(const KeyId& key) {
  const auto now = clock_->now();
  const auto name = crypto::sha256(as_bytes(key.text()));
  if (auto known = known_.find(name, now)) return std::move(*known);
  auto facts = sam_->credential(key);
  if (!facts) {
    if (facts.error().code == ErrorCode::not_found) return Error{ErrorCode::credential_unknown, facts.error().detail};
    return facts.error();
  }
  if (refused_by("ssa.credential.identity", facts->key != key))
    return Error{ErrorCode::internal, "the SAM answered for another credential"};
  auto credential = read_credential(std::move(*facts));
  if (!credential) return credential.error();
  return known_.insert(name, std::make_shared<const Credential>(std::move(*credential)), now + keep_, now);
}

Result<std::vector<Credential>> CredentialDirectory::list(const SignerId& signer) {
  auto all = sam_->list_credentials(signer);
  if (!all) return all.error();
  std::vector<Credential> credentials;
  credentials.reserve(all->size());
  for (auto& facts : *all) {
    if (refused_by("ssa.list.owner", facts.signer != signer)) {
      return Error{ErrorCode::internal, "the SAM listed a credential of another signer"};
    }
    auto credential = read_credential(std::move(facts));
    if (!credential) return credential.error();
    credentials.push_back(std::move(*credential));
  }
  return credentials;
}

void CredentialDirectory::forget(const KeyId& key) { known_.erase(crypto::sha256(as_bytes(key.text()))); }

}  // namespace intaglio::ssa
