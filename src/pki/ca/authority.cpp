#include "pki/ca/authority.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"
#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"
#include "pki/ca/lint.h"
#include "pki/ca/responder_lint.h"

namespace intaglio::pki {

/// What a certificate is asked for, after every check.
struct Authority::Subject {
  std::string signer, key_id;
  Identity identity;
  const Profile* profile;
  crypto::PublicKey key;
};

namespace {

/// A session of the SAM's lasts two minutes at most.
constexpr std::chrono::seconds longest_session{300};
constexpr std::string_view release_operation = "release-certificate";

std::string text_of(ByteView digest) { return encode_base64url(digest); }

/// The reason of a revocation; the others of RFC 5280 are an authority's, or no revocation.
Result<crypto::RevocationReason> asked_reason(const json::Value& payload) {
  auto name = json::text_member(payload, "reason", 64);
  if (!name) return name.error();
  auto reason = crypto::parse_revocation_reason(*name);
  if (!reason) return reason.error();
  using Reason = crypto::RevocationReason;
  constexpr std::array<Reason, 7> allowed = {Reason::unspecified,     Reason::key_compromise,         Reason::affiliation_changed,
                                             Reason::superseded,      Reason::cessation_of_operation, Reason::privilege_withdrawn,
                                             Reason::certificate_hold};
  if (refused_by("pki.revoke.reason", std::find(allowed.begin(), allowed.end(), *reason) == allowed.end()))
    return Error{ErrorCode::unsupported, "that reason is not for a signer's certificate"};
  return reason;
}

/// The CSR names the signer as the record does: every attribute is the record's, none stands twice, and those that tell the
/// person are all there.
Status check_subject(ByteView subject_der, const Identity& identity) {
  auto attributes = crypto::parse_name(subject_der);
  if (!attributes) return attributes.error();
  std::vector<std::string_view> missing = attributes_of(identity.person);
  std::vector<std::string_view> seen;
  for (const crypto::NameAttribute& each : *attributes) {
    const bool foreign = identity.attribute(each.oid) != each.value;
    const bool twice = std::find(seen.begin(), seen.end(), each.oid) != seen.end();
    if (refused_by("pki.issue.foreign_subject", foreign || twice)) {
      return Error{ErrorCode::not_authorised, "the CSR's subject is not the recorded identity"};
    }
    seen.push_back(each.oid);
    std::erase(missing, each.oid);
  }
  if (refused_by("pki.issue.subject_complete", !missing.empty())) {
    return Error{ErrorCode::not_authorised, "the CSR's subject does not name the whole identity"};
  }
  return {};
}

}  // namespace

Authority::Authority(AuthorityConfig config, Issuer issuer, OperatorGate& gate, Environment environment,
                     std::shared_ptr<crypto::SoftwareKey> rehearsal)
    : config_(std::move(config)),
      issuer_(std::move(issuer)),
      gate_(gate),
      environment_(std::move(environment)),
      rehearsal_(std::move(rehearsal)) {}

Result<std::unique_ptr<Authority>> Authority::open(AuthorityConfig config, Issuer issuer, OperatorGate& gate, Environment environment) {
  // It signs with the issuer's suite, so that what is linted differs from what leaves in the signature alone. Of RSA keys any size will do.
  const auto kind = issuer.signer->public_key().algorithm();
  auto rehearsal = crypto::SoftwareKey::generate(crypto::is_rsa(kind) ? crypto::KeyAlgorithm::rsa2048 : kind);
  if (!rehearsal) return rehearsal.error();
  return std::unique_ptr<Authority>(
      new Authority(std::move(config), std::move(issuer), gate, std::move(environment), std::move(*rehearsal)));
}

void Authority::record_refusal(std::string_view actor, std::string_view key, const Error& error) {
  log::refusal("certificate.refused", error, {{"actor", std::string(actor)}, {"key", std::string(key)}});
  const audit::Event event{audit::EventType::certificate_refused,
                           std::string(actor),
                           std::string(key),
                           audit::Outcome::refused,
                           {{"code", std::string(name_of(error.code))}}};
  if (auto recorded = environment_.audit.record(event); !recorded) log::refusal("audit.refused", recorded.error());
}

Status Authority::check_assertion(std::string_view assertion, const Subject& subject) const {
  auto verified = crypto::verify_jws(assertion, "intaglio-key+jwt", config_.sam_identity);
  if (!verified) return Error{ErrorCode::not_authorised, "key assertion: " + verified.error().detail};
  auto payload = json::parse(*verified);
  if (!payload) return payload.error();
  auto signer = json::text_member(*payload, "signer", 64);
  auto key = json::text_member(*payload, "key", 64);
  auto spki = json::base64url_member(*payload, "spki_sha256", 32);
  auto identity = json::base64url_member(*payload, "identity_sha256", 32);
  auto iat = json::integer_member(*payload, "iat");
  if (!signer) return signer.error();
  if (!key) return key.error();
  if (!spki) return spki.error();
  if (!identity) return identity.error();
  if (!iat) return iat.error();
  if (refused_by("pki.assertion.signer", *signer != subject.signer))
    return Error{ErrorCode::not_authorised, "the SAM asserts the key of another signer"};
  if (refused_by("pki.assertion.key", *key != subject.key_id)) return Error{ErrorCode::not_authorised, "the SAM asserts another key"};
  if (refused_by("pki.assertion.spki", !std::ranges::equal(*spki, subject.key.thumbprint()))) {
    return Error{ErrorCode::not_authorised, "the CSR's key is not the one that the SAM asserts"};
  }
  if (refused_by("pki.assertion.identity", !std::ranges::equal(*identity, subject.identity.digest))) {
    return Error{ErrorCode::not_authorised, "the SAM holds another identity record than the operator's request"};
  }
  return check_age(*iat, config_.assertion_max_age);
}

Status Authority::check_age(std::int64_t iat, std::chrono::seconds longest) const {
  const std::int64_t age = unix_seconds(environment_.clock->now()) - std::clamp<std::int64_t>(iat, 0, std::int64_t{1} << 40);
  constexpr std::int64_t tolerated_ahead = 60;
  if (refused_by("pki.assertion.age", age > longest.count() || age < -tolerated_ahead)) {
    return Error{ErrorCode::not_authorised, "the SAM's assertion is too old, or of the future"};
  }
  return {};
}

Result<Authority::Subject> Authority::check_issue(const OperatorRequest& request, const IssueRequest& material) const {
  auto signer = json::text_member(request.payload, "signer", 64);
  auto key_id = json::text_member(request.payload, "key", 64);
  auto profile_name = json::text_member(request.payload, "profile", 64);
  auto csr_digest = json::base64url_member(request.payload, "csr_sha256", 32);
  const json::Value* record = json::member(request.payload, "identity");
  if (!signer) return signer.error();
  if (!key_id) return key_id.error();
  if (!profile_name) return profile_name.error();
  if (!csr_digest) return csr_digest.error();
  if (record == nullptr) return Error{ErrorCode::invalid_request, "identity is missing"};
  auto identity = Identity::parse(*record);
  if (!identity) return identity.error();
  const auto profile = config_.profiles.find(*profile_name);
  if (profile == config_.profiles.end()) return Error{ErrorCode::unsupported, "there is no certificate profile of that name"};
  // What nobody revokes is for keys that do not outlive their session.
  if (refused_by("pki.issue.short_term", profile->second.short_term))
    return Error{ErrorCode::unsupported, "short-term certificates are for one-time keys"};

  if (refused_by("pki.issue.csr_digest", !std::ranges::equal(*csr_digest, crypto::sha256(material.csr)))) {
    return Error{ErrorCode::not_authorised, "the operator signed for another CSR"};
  }
  auto csr = crypto::parse_csr(material.csr);
  if (!csr) return csr.error();
  Subject subject{std::move(*signer), std::move(*key_id), std::move(*identity), &profile->second, std::move(csr->key)};
  if (auto agreed = check_assertion(material.key_assertion, subject); !agreed) return agreed.error();
  if (auto same = check_subject(csr->subject_der, subject.identity); !same) return same.error();
  if (auto fit = check_key(subject); !fit) return fit.error();
  return subject;
}

Status Authority::check_key(const Subject& subject) const {
  if (refused_by("pki.issue.person", subject.identity.person != subject.profile->person))
    return Error{ErrorCode::invalid_request, "the profile is for another kind of person than the identity's"};
  const auto& algorithms = subject.profile->key_algorithms;
  if (refused_by("pki.issue.profile_algorithm",
                 std::find(algorithms.begin(), algorithms.end(), subject.key.algorithm()) == algorithms.end())) {
    return Error{ErrorCode::algorithm_refused, "the profile does not certify keys of this algorithm"};
  }
  return config_.policy.may_certify(subject.key.algorithm(), environment_.clock->now());
}

Result<Authority::Subject> Authority::check_short_term(const ShortTermRequest& request, std::string& session) const {
  if (auto trusted = environment_.clock->synchronised(); !trusted) return trusted.error();
  auto verified = crypto::verify_jws(request.key_assertion, "intaglio-one-time-key+jwt", config_.sam_identity);
  if (!verified) return Error{ErrorCode::not_authorised, "one-time key assertion: " + verified.error().detail};
  auto payload = json::parse(*verified);
  if (!payload) return payload.error();
  auto signer = json::text_member(*payload, "signer", 64);
  auto key = json::text_member(*payload, "key", 64);
  auto profile_name = json::text_member(*payload, "profile", 64);
  auto told_session = json::text_member(*payload, "session", 64);
  auto spki = json::base64url_member(*payload, "spki_sha256", 32);
  auto csr_digest = json::base64url_member(*payload, "csr_sha256", 32);
  auto iat = json::integer_member(*payload, "iat");
  const json::Value* record = json::member(*payload, "identity");
  for (const auto* text : {&signer, &key, &profile_name, &told_session}) {
    if (!*text) return text->error();
  }
  if (!spki) return spki.error();
  if (!csr_digest) return csr_digest.error();
  if (!iat) return iat.error();
  if (record == nullptr) return Error{ErrorCode::invalid_request, "identity is missing"};
  if (auto recent = check_age(*iat, longest_session); !recent) return recent.error();
  auto identity = Identity::parse(*record);
  if (!identity) return identity.error();
  const auto profile = config_.profiles.find(*profile_name);
  if (profile == config_.profiles.end() || refused_by("pki.short_term.profile", !profile->second.short_term))
    return Error{ErrorCode::unsupported, "there is no short-term certificate profile of that name"};
  if (refused_by("pki.short_term.csr_digest", !std::ranges::equal(*csr_digest, crypto::sha256(request.csr))))
    return Error{ErrorCode::not_authorised, "the SAM asserts another CSR"};
  auto csr = crypto::parse_csr(request.csr);
  if (!csr) return csr.error();
  Subject subject{std::move(*signer), std::move(*key), std::move(*identity), &profile->second, std::move(csr->key)};
  if (refused_by("pki.short_term.spki", !std::ranges::equal(*spki, subject.key.thumbprint())))
    return Error{ErrorCode::not_authorised, "the CSR's key is not the one that the SAM asserts"};
  if (auto same = check_subject(csr->subject_der, subject.identity); !same) return same.error();
  if (auto fit = check_key(subject); !fit) return fit.error();
  session = *std::move(told_session);
  return subject;
}

crypto::SignatureSuite Authority::issuing_suite() const noexcept { return suite_of(issuer_.signer->public_key()); }

UnixTime Authority::end_of(std::chrono::seconds validity, crypto::KeyAlgorithm key, UnixTime begin) const {
  // The last second is part of the validity (RFC 5280, 4.1.2.5).
  const UnixTime wanted = std::min<UnixTime>(begin + validity - std::chrono::seconds(1), issuer_.facts.not_after);
  const auto allowed = [&](UnixTime at) { return !config_.policy.suites_for(key, at).empty(); };
  if (wanted <= begin || allowed(wanted)) return wanted;
  // The policy allows a key until a date and never again after it, so that halving finds the date.
  UnixTime good = begin;
  UnixTime bad = wanted;
  while (bad - good > std::chrono::seconds(1)) {
    const UnixTime middle = good + (bad - good) / 2;
    (allowed(middle) ? good : bad) = middle;
  }
  return good;
}

Result<crypto::Certificate> Authority::certify(const Subject& subject) const {
  std::vector<crypto::NameAttribute> name;
  name.reserve(subject.profile->subject.size());
  for (const std::string& oid : subject.profile->subject) name.push_back({oid, subject.identity.attribute(oid).value_or("")});
  auto subject_der = crypto::encode_name(name);
  if (!subject_der) return subject_der.error();
  auto serial = random_serial();
  if (!serial) return serial.error();

  const UnixTime now = environment_.clock->now();
  CertificateTemplate content{std::move(*serial),
                              issuer_.facts.subject_der,
                              std::move(*subject_der),
                              now,
                              end_of(subject.profile->validity, subject.key.algorithm(), now),
                              subject.key.spki(),
                              {}};
  if (refused_by("pki.issue.issuer_valid", now < issuer_.facts.not_before || content.not_after <= now)) {
    return Error{ErrorCode::certificate_invalid, "the issuing CA or the key's algorithm leaves no validity"};
  }
  content.extensions = {authority_key_identifier(*issuer_.facts.subject_key_id), subject_key_identifier(subject.key),
                        key_usage(subject.profile->key_usage), certificate_policies(subject.profile->policies)};
  const std::string own_certificate = config_.public_url + "/ca/issuing.cer";
  if (subject.profile->short_term) {
    content.extensions.push_back(authority_information_access("", own_certificate));
    content.extensions.push_back(validity_assured_short_term());
  } else {
    content.extensions.push_back(crl_distribution_point(config_.public_url + "/crl/issuing.crl"));
    content.extensions.push_back(authority_information_access(config_.public_url + "/ocsp", own_certificate));
    if (!config_.freshest.empty()) content.extensions.push_back(freshest_crl(config_.freshest));
  }
  if (!subject.profile->extended_key_usage.empty()) content.extensions.push_back(extended_key_usage(subject.profile->extended_key_usage));
  if (auto statements = qc_statements(subject.profile->qc, subject.identity.semantics()))
    content.extensions.push_back(std::move(*statements));

  const LintContext context{*subject.profile, subject.identity, issuer_.facts, subject.key, signature_oid(issuing_suite()),
                            config_.qualified};
  for (const crypto::Signer* signer : {static_cast<const crypto::Signer*>(rehearsal_.get()), issuer_.signer.get()}) {
    auto certificate = sign_certificate(content, *signer, issuing_suite());
    if (!certificate) return certificate.error();
    auto facts = crypto::inspect(*certificate);
    if (!facts) return facts.error();
    const auto broken = lint(*facts, context);
    if (refused_by("pki.issue.lint", !broken.empty()))
      return Error{ErrorCode::invalid_request, "the certificate breaks: " + broken.front()};
    if (signer == issuer_.signer.get()) return certificate;
  }
  panic("no certificate was signed");
}

Status Authority::store(const IssuedCertificate& row, const crypto::Certificate& certificate) {
  const audit::Event event{audit::EventType::certificate_issued,
                           row.operator_id.empty() ? "pki" : row.operator_id,
                           row.key,
                           audit::Outcome::success,
                           {{"kind", row.kind},
                            {"serial", row.serial_hex},
                            {"certificate_sha256", text_of(certificate.fingerprint())},
                            {"spki_sha256", text_of(row.spki_sha256)},
                            {"profile", row.profile},
                            {"signer", row.signer},
                            {"rid", row.request_id},
                            {"not_after", format_utc(row.not_after)}}};
  return environment_.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto inserted = insert_certificate(transaction, row); !inserted) return inserted;
    auto entry = environment_.audit.append(transaction, event);
    if (!entry) return entry.error();
    fault_point("pki.issue.stored");
    return {};
  });
}

Result<crypto::Certificate> Authority::issue(const IssueRequest& request) {
  auto admitted = gate_.admit(request.operator_request, "issue-certificate");
  if (!admitted) {
    record_refusal("ssa", "", admitted.error());
    return admitted.error();
  }
  const auto key = json::text_member(admitted->payload, "key", 64);
  const auto refuse = [&](const Error& error) {
    record_refusal(admitted->operator_id, key ? *key : "", error);
    return error;
  };
  auto subject = check_issue(*admitted, request);
  if (!subject) return refuse(subject.error());
  auto certificate = certify(*subject);
  if (!certificate) return refuse(certificate.error());
  const auto spki_digest = subject->key.thumbprint();
  const IssuedCertificate row{certificate->serial_hex(), "signer",
                              subject->profile->name,    subject->signer,
                              subject->key_id,           admitted->operator_id,
                              admitted->request_id,      certificate->not_before(),
                              certificate->not_after(),  environment_.clock->now(),
                              to_bytes(spki_digest),     certificate->der()};
  if (auto stored = store(row, *certificate); !stored) return refuse(stored.error());
  fault_point("pki.issue.recorded");
  return certificate;
}

Result<crypto::Certificate> Authority::issue_short_term(const ShortTermRequest& request) {
  std::string session;
  auto subject = check_short_term(request, session);
  auto certificate = subject ? certify(*subject) : Result<crypto::Certificate>(subject.error());
  if (certificate) {
    const IssuedCertificate row{certificate->serial_hex(),
                                "signer",
                                subject->profile->name,
                                subject->signer,
                                subject->key_id,
                                "sam",
                                session,
                                certificate->not_before(),
                                certificate->not_after(),
                                environment_.clock->now(),
                                to_bytes(subject->key.thumbprint()),
                                certificate->der()};
    if (auto stored = store(row, *certificate); !stored) certificate = stored.error();
  }
  if (!certificate) record_refusal("sam", subject ? subject->key_id : std::string(), certificate.error());
  return certificate;
}

Result<std::string> Authority::record_change(const OperatorRequest& request, const std::string& key, crypto::RevocationReason reason,
                                             const StatusChange& change) {
  auto serial = json::text_member(request.payload, "serial", 64);
  if (!serial) return serial.error();
  auto octets = parse_hex(*serial);
  if (!octets) return octets.error();
  const crypto::RevokedCertificate revocation{encode_hex(*octets), environment_.clock->now(), reason};
  auto written = environment_.database.write([&](storage::Transaction& transaction) -> Status {
    auto found = find_certificate(transaction, revocation.serial_hex);
    if (!found) return found.error();
    if (!*found || (*found)->kind == "responder") return Error{ErrorCode::not_found, "no certificate of that serial was issued here"};
    if (refused_by("pki.revoke.key", (*found)->key != key)) return Error{ErrorCode::not_found, "the certificate is of another key"};
    if (auto changed = change(transaction, revocation, request.operator_id); !changed) return changed;
    auto entry = environment_.audit.append(
        transaction,
        {audit::EventType::revocation_recorded,
         request.operator_id,
         key,
         audit::Outcome::success,
         {{"serial", revocation.serial_hex}, {"reason", std::string(name_of(revocation.reason))}, {"rid", request.request_id}}});
    if (!entry) return entry.error();
    fault_point("pki.revoke.stored");
    return {};
  });
  if (!written) return written.error();
  return revocation.serial_hex;
}

Result<std::string> Authority::change_status(std::string_view operator_request, std::string_view operation, const StatusChange& change) {
  auto admitted = gate_.admit(operator_request, operation);
  if (!admitted) {
    record_refusal("ssa", "", admitted.error());
    return admitted.error();
  }
  auto key = json::text_member(admitted->payload, "key", 64);
  // What releases a hold says so in the words of RFC 5280, 5.3.1, in the audit log too.
  auto reason = operation == release_operation ? Result<crypto::RevocationReason>(crypto::RevocationReason::remove_from_crl)
                                               : asked_reason(admitted->payload);
  auto done = !key      ? Result<std::string>(key.error())
              : !reason ? Result<std::string>(reason.error())
                        : record_change(*admitted, *key, *reason, change);
  if (!done) record_refusal(admitted->operator_id, key ? *key : "", done.error());
  return done;
}

Result<std::string> Authority::revoke(std::string_view operator_request) {
  return change_status(operator_request, "revoke-certificate", insert_revocation);
}

Result<std::string> Authority::release(std::string_view operator_request) {
  return change_status(operator_request, release_operation,
                       [](storage::Transaction& transaction, const crypto::RevokedCertificate& at, const std::string& operator_id) {
                         return release_hold(transaction, at.serial_hex, at.at, operator_id);
                       });
}

Result<crypto::Certificate> Authority::sign_responder(const CertificateTemplate& content, const crypto::PublicKey& key) const {
  const ResponderLintContext context{issuer_.facts, key, config_.responder_validity, signature_oid(issuing_suite())};
  for (const crypto::Signer* signer : {static_cast<const crypto::Signer*>(rehearsal_.get()), issuer_.signer.get()}) {
    auto certificate = sign_certificate(content, *signer, issuing_suite());
    if (!certificate) return certificate.error();
    auto facts = crypto::inspect(*certificate);
    if (!facts) return facts.error();
    const auto broken = lint_responder(*facts, context);
    if (refused_by("pki.responder.lint", !broken.empty()))
      return Error{ErrorCode::configuration, "the OCSP responder's certificate breaks: " + broken.front()};
    if (signer == issuer_.signer.get()) return certificate;
  }
  panic("no certificate was signed");
}

Result<crypto::Certificate> Authority::responder_certificate(const crypto::PublicKey& key) {
  const UnixTime now = environment_.clock->now();
  std::optional<IssuedCertificate> stored;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    auto latest = latest_responder(reader);
    if (!latest) return latest.error();
    stored = std::move(*latest);
    return {};
  });
  if (!read) return read.error();
  if (stored && stored->not_after - now > std::chrono::seconds(config_.responder_validity) / 3) {
    auto certificate = crypto::Certificate::parse_der(stored->der);
    auto certified = certificate ? certificate->public_key() : Result<crypto::PublicKey>(certificate.error());
    if (certified && certified->spki() == key.spki() && certificate->verify_issued_by(issuer_.certificate)) return certificate;
  }

  auto serial = random_serial();
  if (!serial) return serial.error();
  std::vector<crypto::NameAttribute> name;
  if (const auto country = issuer_.certificate.subject_attribute(oid_country)) name.push_back({std::string(oid_country), *country});
  if (const auto organisation = issuer_.certificate.subject_attribute(oid_organisation))
    name.push_back({std::string(oid_organisation), *organisation});
  name.push_back({std::string(oid_common_name), issuer_.certificate.subject_attribute(oid_common_name).value_or("Issuing CA") + " OCSP"});
  auto subject = crypto::encode_name(name);
  if (!subject) return subject.error();
  // RFC 6960, 4.2.2.2: an authorised responder's certificate is issued by the CA that it answers for.
  const CertificateTemplate content{
      std::move(*serial),
      issuer_.facts.subject_der,
      std::move(*subject),
      now,
      std::min<UnixTime>(now + config_.responder_validity, issuer_.facts.not_after),
      key.spki(),
      {authority_key_identifier(*issuer_.facts.subject_key_id), subject_key_identifier(key), key_usage({"digitalSignature"}),
       extended_key_usage({std::string(oid_ocsp_signing)}), ocsp_no_check()}};
  auto certificate = sign_responder(content, key);
  if (!certificate) return certificate.error();
  const IssuedCertificate row{certificate->serial_hex(),  "responder",       "", "", "", "", "", content.not_before, content.not_after, now,
                              to_bytes(key.thumbprint()), certificate->der()};
  if (auto kept = store(row, *certificate); !kept) return kept.error();
  return certificate;
}

Result<crypto::Certificate> Authority::certify_unit(const crypto::PublicKey& key, const UnitProfile& profile) const {
  const UnixTime now = environment_.clock->now();
  if (auto allowed = config_.policy.may_certify(key.algorithm(), now); !allowed) return allowed.error();
  auto content = make_unit_template(profile, key, issuer_, config_.public_url, now, end_of(profile.validity, key.algorithm(), now));
  if (!content) return content.error();
  for (const crypto::Signer* signer : {static_cast<const crypto::Signer*>(rehearsal_.get()), issuer_.signer.get()}) {
    auto certificate = sign_certificate(*content, *signer, issuing_suite());
    if (!certificate) return certificate.error();
    auto facts = crypto::inspect(*certificate);
    if (!facts) return facts.error();
    if (auto fit = check_unit_certificate(*facts); !fit) return fit.error();
    if (signer == issuer_.signer.get()) return certificate;
  }
  panic("no certificate was signed");
}

Result<crypto::Certificate> Authority::unit_certificate(const crypto::PublicKey& key, const UnitProfile& profile) {
  if (refused_by("tsa.unit.issuing_key", key.spki() == issuer_.facts.spki))
    return Error{ErrorCode::configuration, "the time-stamping unit's key is the issuing CA's"};
  const auto thumbprint = key.thumbprint();
  std::optional<IssuedCertificate> stored;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    auto found = find_certificate_of_key(reader, thumbprint);
    if (!found) return found.error();
    stored = std::move(*found);
    return {};
  });
  if (!read) return read.error();
  if (stored) {
    if (refused_by("tsa.unit.foreign_key", stored->kind != "tsu"))
      return Error{ErrorCode::configuration, "the time-stamping unit's key was certified for something else"};
    return crypto::Certificate::parse_der(stored->der);
  }
  auto certificate = certify_unit(key, profile);
  if (!certificate) return certificate.error();
  const IssuedCertificate row{certificate->serial_hex(),
                              "tsu",
                              "time-stamping-unit",
                              "",
                              profile.key_id,
                              "",
                              "",
                              certificate->not_before(),
                              certificate->not_after(),
                              environment_.clock->now(),
                              to_bytes(thumbprint),
                              certificate->der()};
  if (auto kept = store(row, *certificate); !kept) return kept.error();
  return certificate;
}

}  // namespace intaglio::pki
