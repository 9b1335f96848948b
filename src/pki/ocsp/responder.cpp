#include "pki/ocsp/responder.h"

#include "base/log.h"
#include "crypto/der.h"
#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"
#include "pki/store.h"

namespace intaglio::pki {

namespace der = crypto::der;

namespace {

Bytes failure(OcspFailure status) { return der::sequence({der::enumerated(static_cast<std::uint8_t>(status))}); }

Bytes nonce_extensions(ByteView nonce) {
  if (nonce.empty()) return {};
  const crypto::ExtensionFacts extension{"1.3.6.1.5.5.7.48.1.2", false, der::octet_string(nonce)};
  return der::explicit_tag(1, encode_extensions({extension}));
}

}  // namespace

Bytes OcspStatus::encode() const {
  if (status_ == crypto::CertificateStatus::good) return der::implicit_tag(0, der::null());
  if (status_ == crypto::CertificateStatus::unknown) return der::implicit_tag(2, der::null());
  const Bytes at = der::generalized_time(revoked_->at);
  if (revoked_->reason == crypto::RevocationReason::unspecified) return der::implicit_tag(1, der::sequence({at}));
  return der::implicit_tag(1, der::sequence({at, der::explicit_tag(0, der::enumerated(static_cast<std::uint8_t>(revoked_->reason)))}));
}

Responder::Responder(const Issuer& issuer, crypto::Certificate certificate, std::shared_ptr<const crypto::Signer> signer,
                     std::chrono::seconds validity, Environment environment)
    : issuer_(issuer),
      certificate_(std::move(certificate)),
      signer_(std::move(signer)),
      validity_(validity),
      environment_(std::move(environment)) {}

void Responder::use_certificate(crypto::Certificate certificate) {
  const std::lock_guard lock(mutex_);
  certificate_ = std::move(certificate);
}

Result<OcspStatus> Responder::status_of(storage::Reader& reader, const crypto::OcspCertificateId& certificate) const {
  if (!certificate.is_of(issuer_.certificate)) return OcspStatus::unknown();
  auto stored = certificate_status(reader, certificate.serial_hex);
  if (!stored) return stored.error();
  if (!stored->issued) return OcspStatus::unknown();
  if (stored->revoked) return OcspStatus::revoked(*stored->revoked);
  return OcspStatus::good();
}

Result<OcspReply> Responder::answer_parsed(const crypto::OcspRequest& request) {
  if (auto trusted = environment_.clock->synchronised(); !trusted) return trusted.error();
  const crypto::Certificate certificate = [&] {
    const std::lock_guard lock(mutex_);
    return certificate_;
  }();
  const UnixTime now = environment_.clock->now();
  if (now < certificate.not_before() || now > certificate.not_after())
    return Error{ErrorCode::certificate_invalid, "the responder's certificate is not valid"};
  const UnixTime next_update = std::min<UnixTime>(now + validity_, certificate.not_after());

  std::vector<Bytes> answers;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    for (const crypto::OcspCertificateId& each : request.certificates) {
      auto status = status_of(reader, each);
      if (!status) return status.error();
      answers.push_back(der::sequence(
          {each.der, status->encode(), der::generalized_time(now), der::explicit_tag(0, der::generalized_time(next_update))}));
    }
    return {};
  });
  if (!read) return read.error();

  // responderID byName: the subject of the certificate that comes with the answer (RFC 6960, 4.2.1).
  const Bytes data = der::sequence({der::explicit_tag(1, certificate.subject_der()), der::generalized_time(now), der::sequence(answers),
                                    nonce_extensions(request.nonce)});
  auto signature = signer_->sign(issuing_suite, data);
  if (!signature) return signature.error();
  const Bytes basic = der::sequence({data, crypto::algorithm_identifier(issuing_suite), der::bit_string(*signature),
                                     der::explicit_tag(0, der::sequence({certificate.der()}))});
  const Bytes bytes = der::sequence({der::oid("1.3.6.1.5.5.7.48.1.1"), der::octet_string(basic)});
  Bytes response = der::sequence({der::enumerated(0), der::explicit_tag(0, bytes)});
  auto parsed = crypto::parse_ocsp_response(response);
  if (!parsed) return parsed.error();
  if (parsed->certificates.size() != request.certificates.size() || parsed->nonce != request.nonce) {
    return Error{ErrorCode::internal, "an OCSP answer does not read back as it was written"};
  }
  OcspReply reply{std::move(response), std::nullopt};
  if (request.nonce.empty()) reply.window = OcspReply::Window{now, next_update};
  return reply;
}

OcspReply Responder::reply(ByteView request) {
  auto parsed = crypto::parse_ocsp_request(request);
  if (!parsed) return {failure(OcspFailure::malformed_request), std::nullopt};
  auto response = answer_parsed(*parsed);
  if (response) return std::move(*response);
  log::refusal("ocsp.refused", response.error());
  const bool passing = response.error().code == ErrorCode::clock_unsynchronised || response.error().code == ErrorCode::busy ||
                       response.error().code == ErrorCode::token_unavailable || response.error().code == ErrorCode::storage_unavailable;
  return {failure(passing ? OcspFailure::try_later : OcspFailure::internal_error), std::nullopt};
}

}  // namespace intaglio::pki
