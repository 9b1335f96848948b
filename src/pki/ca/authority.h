#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "crypto/policy/algorithm_policy.h"
#include "pki/ca/certificate_template.h"
#include "pki/ca/identity.h"
#include "pki/ca/operator_gate.h"
#include "pki/ca/profile.h"
#include "pki/store.h"
#include "pki/tsa/unit.h"

namespace intaglio::pki {

struct AuthorityConfig {
  std::map<std::string, Profile, std::less<>> profiles;
  crypto::AlgorithmPolicy policy;
  crypto::PublicKey sam_identity;           ///< the only key whose assertions are believed
  std::chrono::seconds assertion_max_age;
  std::string public_url;                   ///< http, no slash at the end
  bool qualified;
  std::chrono::days responder_validity{30};  ///< of the OCSP responder's certificate: renewed when a third of it is left
  std::string freshest{};                    ///< where delta lists are published: stands in certificates; empty: none are
};

struct IssueRequest {
  std::string_view operator_request;  ///< JWS typ intaglio-ra+jwt, op issue-certificate
  std::string_view key_assertion;     ///< JWS typ intaglio-key+jwt by the SAM identity key
  ByteView csr;                       ///< PKCS#10, DER
};

/// For a key of one session: the SAM alone says whose it is.
struct ShortTermRequest {
  std::string_view key_assertion;  ///< JWS typ intaglio-one-time-key+jwt by the SAM identity key
  ByteView csr;                    ///< PKCS#10, DER
};

/// Issues and revokes certificates. A certificate exists for the world when its row and its audit entry are durable.
class Authority {
 public:
  /// `gate` and what the environment refers to outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Authority>> open(AuthorityConfig config, Issuer issuer, OperatorGate& gate,
                                                               Environment environment);

  /// Refused unless operator, SAM and CSR agree on signer, key and identity, the key was never certified, profile and algorithm
  /// policy allow it, and the linter finds nothing. Every refusal is audited.
  [[nodiscard]] Result<crypto::Certificate> issue(const IssueRequest& request);
  /// Refused unless the SAM's assertion and the CSR agree on key and identity, the assertion is of this moment, its profile is short-term,
  /// the key was never certified, and as above. Every refusal is audited.
  [[nodiscard]] Result<crypto::Certificate> issue_short_term(const ShortTermRequest& request);
  /// `operator_request`: op revoke-certificate with key, serial, reason; certificateHold suspends. Gives the serial number. not_found: not
  /// issued here for this key; conflict: revoked before. The list that shows it is the publisher's.
  [[nodiscard]] Result<std::string> revoke(std::string_view operator_request);
  /// `operator_request`: op release-certificate with key and serial; ends a hold. Gives the serial number. not_found as above; conflict:
  /// not on hold: what is revoked stays revoked (EN 319 411-1, REV-6.2.4).
  [[nodiscard]] Result<std::string> release(std::string_view operator_request);
  /// The responder's certificate for this key: the stored one, or a new one when less than a third is left of it.
  [[nodiscard]] Result<crypto::Certificate> responder_certificate(const crypto::PublicKey& key);
  /// The certificate of a time-stamping unit's key: the stored one, or a new one, for the first time. A key is certified once, so that
  /// its end stays where it was set. Refused (`configuration`): a key that serves something else.
  [[nodiscard]] Result<crypto::Certificate> unit_certificate(const crypto::PublicKey& key, const UnitProfile& profile);
  [[nodiscard]] const Issuer& issuer() const noexcept { return issuer_; }

 private:
  struct Subject;
  Authority(AuthorityConfig config, Issuer issuer, OperatorGate& gate, Environment environment,
            std::shared_ptr<crypto::SoftwareKey> rehearsal);
  [[nodiscard]] Result<Subject> check_issue(const OperatorRequest& request, const IssueRequest& material) const;
  [[nodiscard]] Result<Subject> check_short_term(const ShortTermRequest& request, std::string& session) const;
  [[nodiscard]] Status check_age(std::int64_t iat, std::chrono::seconds longest) const;
  [[nodiscard]] Status check_key(const Subject& subject) const;
  using StatusChange = std::function<Status(storage::Transaction&, const crypto::RevokedCertificate&, const std::string& operator_id)>;
  [[nodiscard]] Result<std::string> change_status(std::string_view operator_request, std::string_view operation,
                                                  const StatusChange& change);
  [[nodiscard]] Result<std::string> record_change(const OperatorRequest& request, const std::string& key, crypto::RevocationReason reason,
                                                  const StatusChange& change);
  [[nodiscard]] Status check_assertion(std::string_view assertion, const Subject& subject) const;
  [[nodiscard]] Result<crypto::Certificate> sign_responder(const CertificateTemplate& content, const crypto::PublicKey& key) const;
  [[nodiscard]] Result<crypto::Certificate> certify_unit(const crypto::PublicKey& key, const UnitProfile& profile) const;
  [[nodiscard]] Result<crypto::Certificate> certify(const Subject& subject) const;
  [[nodiscard]] crypto::SignatureSuite issuing_suite() const noexcept;
  [[nodiscard]] UnixTime end_of(std::chrono::seconds validity, crypto::KeyAlgorithm key, UnixTime begin) const;
  Status store(const IssuedCertificate& row, const crypto::Certificate& certificate);
  void record_refusal(std::string_view actor, std::string_view key, const Error& error);

  AuthorityConfig config_;
  Issuer issuer_;
  OperatorGate& gate_;
  Environment environment_;
  std::shared_ptr<crypto::SoftwareKey> rehearsal_;  ///< throw-away key: what it signs never leaves
};

}  // namespace intaglio::pki
