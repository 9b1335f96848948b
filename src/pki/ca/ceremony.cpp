#include "pki/ca/ceremony.h"

#include "base/check.h"
#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"
#include "pki/ca/identity.h"
#include "pki/crl/revocation_list.h"

namespace intaglio::pki {

namespace {

const std::vector<std::string> authority_usage = {"keyCertSign", "cRLSign"};

Result<Bytes> encode_authority_name(const AuthorityName& name) {
  return crypto::encode_name({{std::string(oid_country), name.country},
                              {std::string(oid_organisation), name.organisation},
                              {std::string(oid_common_name), name.common_name}});
}

}  // namespace

Result<crypto::Certificate> make_root_certificate(const AuthorityName& name, std::chrono::days validity, const crypto::Signer& root,
                                                  const Clock& clock) {
  auto subject = encode_authority_name(name);
  auto serial = random_serial();
  if (!subject) return subject.error();
  if (!serial) return serial.error();
  const UnixTime now = clock.now();
  auto certificate = sign_certificate({std::move(*serial),
                                       *subject,
                                       *subject,
                                       now,
                                       now + validity,
                                       root.public_key().spki(),
                                       {subject_key_identifier(root.public_key()), basic_constraints(1), key_usage(authority_usage)}},
                                      root);
  if (!certificate) return certificate.error();
  if (auto verified = crypto::verify_chain(*certificate, {}, {*certificate}, now); !verified) return verified.error();
  return certificate;
}

Result<Bytes> make_authority_request(const AuthorityName& name, const crypto::Signer& issuing) {
  auto subject = encode_authority_name(name);
  if (!subject) return subject.error();
  auto info = crypto::encode_csr_info(*subject, issuing.public_key());
  if (!info) return info.error();
  const auto suite = suite_of(issuing.public_key());
  auto signature = issuing.sign(suite, *info);
  if (!signature) return signature.error();
  return crypto::assemble_csr(*info, suite, *signature);
}

Result<crypto::Certificate> certify_authority(ByteView request, std::chrono::days validity, const Issuer& root, std::string_view public_url,
                                              const Clock& clock) {
  // RFC 5280, 4.2.1.9: below pathLenConstraint 0 there are end entities only.
  if (refused_by("pki.ceremony.path_length", root.facts.path_length == 0)) {
    return Error{ErrorCode::not_authorised, "this authority may not certify another one"};
  }
  auto csr = crypto::parse_csr(request);
  if (!csr) return csr.error();
  auto serial = random_serial();
  if (!serial) return serial.error();
  const UnixTime now = clock.now();
  const std::string base(public_url);
  auto certificate =
      sign_certificate({std::move(*serial),
                        root.facts.subject_der,
                        csr->subject_der,
                        now,
                        std::min<UnixTime>(now + validity, root.facts.not_after),
                        csr->key.spki(),
                        {authority_key_identifier(*root.facts.subject_key_id), subject_key_identifier(csr->key), basic_constraints(0),
                         key_usage(authority_usage), certificate_policies({{std::string(oid_any_policy), {}}}),
                         crl_distribution_point(base + "/crl/root.crl"), authority_information_access("", base + "/ca/root.cer")}},
                       *root.signer);
  if (!certificate) return certificate.error();
  if (auto verified = crypto::verify_chain(*certificate, {}, {root.certificate}, now); !verified) return verified.error();
  return certificate;
}

Result<Bytes> make_first_root_list(const Issuer& root, std::chrono::days validity, const Clock& clock) {
  const UnixTime now = clock.now();
  return sign_list({1, now, std::min<UnixTime>(now + validity, root.facts.not_after), {}}, root);
}

Result<Bytes> make_root_list(const Issuer& root, ByteView before, std::chrono::days validity, const Clock& clock,
                             const crypto::Certificate* revoked, crypto::RevocationReason reason) {
  if (auto verified = crypto::verify_crl(before, root.certificate); refused_by("pki.ceremony.foreign_list", !verified))
    return verified.error();
  auto list = crypto::parse_crl(before);
  if (!list) return list.error();
  const UnixTime now = clock.now();
  if (revoked != nullptr) {
    const bool issued =
        static_cast<bool>(revoked->verify_issued_by(root.certificate)) && revoked->serial_hex() != root.certificate.serial_hex();
    if (refused_by("pki.ceremony.foreign_certificate", !issued))
      return Error{ErrorCode::not_authorised, "the certificate was not issued by this root"};
    if (refused_by("pki.ceremony.revoked", list->find(revoked->serial_hex()) != nullptr))
      return Error{ErrorCode::conflict, "the root's list names this certificate already"};
    list->revoked.push_back({revoked->serial_hex(), now, reason});
  }
  return sign_list({list->number + 1, now, std::min<UnixTime>(now + validity, root.facts.not_after), std::move(list->revoked)}, root);
}

Result<crypto::Certificate> cross_certify(const crypto::Certificate& other_root, const Issuer& by, std::string_view public_url,
                                          const Clock& clock) {
  auto facts = crypto::inspect(other_root);
  if (!facts) return facts.error();
  auto key = other_root.public_key();
  if (!key) return key.error();
  // Its own signature over its own key is the proof of possession.
  const bool is_root = static_cast<bool>(other_root.verify_issued_by(other_root)) && facts->is_ca == true;
  if (refused_by("pki.ceremony.cross_root", !is_root)) return Error{ErrorCode::not_authorised, "the other certificate is not a root's own"};
  if (refused_by("pki.ceremony.cross_self", key->spki() == by.facts.spki))
    return Error{ErrorCode::conflict, "the other root has the key of this one"};
  auto serial = random_serial();
  if (!serial) return serial.error();
  const UnixTime now = clock.now();
  const std::string base(public_url);
  auto certificate =
      sign_certificate({std::move(*serial),
                        by.facts.subject_der,
                        other_root.subject_der(),
                        now,
                        std::min(by.facts.not_after, other_root.not_after()),
                        key->spki(),
                        {authority_key_identifier(*by.facts.subject_key_id), subject_key_identifier(*key), basic_constraints(1),
                         key_usage(authority_usage), certificate_policies({{std::string(oid_any_policy), {}}}),
                         crl_distribution_point(base + "/crl/root.crl"), authority_information_access("", base + "/ca/root.cer")}},
                       *by.signer);
  if (!certificate) return certificate.error();
  if (auto verified = crypto::verify_chain(*certificate, {}, {by.certificate}, now); !verified) return verified.error();
  return certificate;
}

}  // namespace intaglio::pki
