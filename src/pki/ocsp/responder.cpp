#include "pki/ocsp/responder.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/der.h"
#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"

namespace intaglio::pki {

namespace der = crypto::der;

namespace {

/// How many certificates are looked up in one transaction and, with it, in one epoch of the shelf.
constexpr std::size_t batch_size = 64;
constexpr std::array<std::string_view, ocsp_id_forms.size()> form_oids = {"1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1"};

Bytes failure(OcspFailure status) { return der::sequence({der::enumerated(static_cast<std::uint8_t>(status))}); }

Bytes nonce_extensions(ByteView nonce) {
  if (nonce.empty()) return {};
  const crypto::ExtensionFacts extension{"1.3.6.1.5.5.7.48.1.2", false, der::octet_string(nonce)};
  return der::explicit_tag(1, encode_extensions({extension}));
}

/// OCSPResponse around a BasicOCSPResponse (RFC 6960, 4.2.1).
Bytes encode_response(ByteView data, crypto::SignatureSuite suite, ByteView signature, const crypto::Certificate& certificate) {
  const Bytes basic = der::sequence(
      {data, crypto::algorithm_identifier(suite), der::bit_string(signature), der::explicit_tag(0, der::sequence({certificate.der()}))});
  const Bytes bytes = der::sequence({der::oid("1.3.6.1.5.5.7.48.1.1"), der::octet_string(basic)});
  return der::sequence({der::enumerated(0), der::explicit_tag(0, bytes)});
}

}  // namespace

OcspStatus OcspStatus::of(const StoredStatus& stored) {
  if (!stored.issued) return unknown();
  if (stored.revoked) return revoked(*stored.revoked);
  return good();
}

Bytes OcspStatus::encode() const {
  if (status_ == crypto::CertificateStatus::good) return der::implicit_tag(0, der::null());
  if (status_ == crypto::CertificateStatus::unknown) return der::implicit_tag(2, der::null());
  const Bytes at = der::generalized_time(revoked_->at);
  if (revoked_->reason == crypto::RevocationReason::unspecified) return der::implicit_tag(1, der::sequence({at}));
  return der::implicit_tag(1, der::sequence({at, der::explicit_tag(0, der::enumerated(static_cast<std::uint8_t>(revoked_->reason)))}));
}

Responder::Responder(ResponderConfig config, const Issuer& issuer, crypto::Certificate certificate,
                     std::shared_ptr<const crypto::Signer> signer, std::array<Bytes, ocsp_id_forms.size()> issuer_parts,
                     Environment environment)
    : config_(config),
      issuer_(issuer),
      certificate_(std::move(certificate)),
      signer_(std::move(signer)),
      suite_(suite_of(signer_->public_key())),
      issuer_parts_(std::move(issuer_parts)),
      environment_(std::move(environment)),
      shelf_(config.preproduced) {}

Result<std::unique_ptr<Responder>> Responder::open(ResponderConfig config, const Issuer& issuer, crypto::Certificate certificate,
                                                   std::shared_ptr<const crypto::Signer> signer, Environment environment) {
  std::array<Bytes, ocsp_id_forms.size()> parts;
  for (std::size_t index = 0; index < parts.size(); ++index) {
    auto part = crypto::ocsp_issuer_part(issuer.certificate, form_oids.at(index));
    if (!part) return part.error();
    parts.at(index) = std::move(*part);
  }
  return std::unique_ptr<Responder>(
      new Responder(config, issuer, std::move(certificate), std::move(signer), std::move(parts), std::move(environment)));
}

void Responder::use_certificate(crypto::Certificate certificate) {
  const std::lock_guard lock(mutex_);
  certificate_ = std::move(certificate);
}

crypto::Certificate Responder::certificate() const {
  const std::lock_guard lock(mutex_);
  return certificate_;
}

Result<Responder::Moment> Responder::moment() const {
  if (auto trusted = environment_.clock->synchronised(); !trusted) return trusted.error();
  Moment moment{environment_.clock->now(), {}, certificate()};
  if (moment.now < moment.certificate.not_before() || moment.now > moment.certificate.not_after())
    return Error{ErrorCode::certificate_invalid, "the responder's certificate is not valid"};
  moment.next_update = std::min<UnixTime>(moment.now + config_.validity, moment.certificate.not_after());
  return moment;
}

Bytes Responder::certificate_id(const ShelfKey& key) const {
  auto serial = parse_hex(key.serial_hex);
  if (!serial) return {};
  return der::sequence({issuer_parts_.at(static_cast<std::size_t>(key.form)), der::integer(*serial)});
}

std::optional<ShelfKey> Responder::shelf_key(const crypto::OcspRequest& request) const {
  if (config_.preproduced == 0 || !request.nonce.empty() || request.certificates.size() != 1) return std::nullopt;
  const crypto::OcspCertificateId& asked = request.certificates.front();
  const auto form = std::find(form_oids.begin(), form_oids.end(), asked.hash_oid);
  if (form == form_oids.end()) return std::nullopt;
  ShelfKey key{ocsp_id_forms.at(static_cast<std::size_t>(form - form_oids.begin())), asked.serial_hex};
  // An answer repeats the CertID as it was asked: another issuer's, or another encoding, is no question for the shelf.
  if (refused_by("ocsp.shelf.certificate_id", certificate_id(key) != asked.der)) return std::nullopt;
  return key;
}

std::optional<OcspReply> Responder::from_shelf(const crypto::OcspRequest& request) const {
  const auto key = shelf_key(request);
  const auto answer = key ? shelf_.find(*key) : nullptr;
  if (!answer) return std::nullopt;
  // Live answers need a clock that is trusted, and so do these: whether they still hold is the clock's word.
  const UnixTime now = environment_.clock->now();
  const bool in_force = static_cast<bool>(environment_.clock->synchronised()) && answer->this_update <= now && now < answer->next_update;
  if (refused_by("ocsp.shelf.in_force", !in_force)) return std::nullopt;
  return OcspReply{encode_response(answer->data, suite_, answer->signature, certificate()),
                   OcspReply::Window{answer->this_update, answer->next_update}};
}

Bytes Responder::encode_single(ByteView certificate_id, const OcspStatus& status, const Moment& moment) const {
  Bytes archive;
  if (config_.archive) {
    const crypto::ExtensionFacts cutoff{"1.3.6.1.5.5.7.48.1.6", false, der::generalized_time(issuer_.facts.not_before)};
    archive = der::explicit_tag(1, encode_extensions({cutoff}));
  }
  return der::sequence({certificate_id, status.encode(), der::generalized_time(moment.now),
                        der::explicit_tag(0, der::generalized_time(moment.next_update)), archive});
}

Bytes Responder::encode_data(const std::vector<Bytes>& answers, ByteView nonce, const Moment& moment) const {
  // responderID byName: the subject of the certificate that comes with the answer (RFC 6960, 4.2.1).
  return der::sequence({der::explicit_tag(1, moment.certificate.subject_der()), der::generalized_time(moment.now), der::sequence(answers),
                        nonce_extensions(nonce)});
}

Result<OcspReply> Responder::answer_live(const crypto::OcspRequest& request) {
  auto at = moment();
  if (!at) return at.error();
  const auto epoch = shelf_.epoch();
  std::vector<Bytes> answers;
  bool known = true;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    for (const crypto::OcspCertificateId& each : request.certificates) {
      OcspStatus status = OcspStatus::unknown();
      if (each.is_of(issuer_.certificate)) {
        auto stored = certificate_status(reader, each.serial_hex);
        if (!stored) return stored.error();
        status = OcspStatus::of(*stored);
        known = known && stored->issued;
      } else {
        known = false;
      }
      answers.push_back(encode_single(each.der, status, *at));
    }
    return {};
  });
  if (!read) return read.error();

  const Bytes data = encode_data(answers, request.nonce, *at);
  auto signature = signer_->sign(suite_, data);
  if (!signature) return signature.error();
  Bytes response = encode_response(data, suite_, *signature, at->certificate);
  auto parsed = crypto::parse_ocsp_response(response);
  if (!parsed) return parsed.error();
  if (parsed->certificates.size() != request.certificates.size() || parsed->nonce != request.nonce) {
    return Error{ErrorCode::internal, "an OCSP answer does not read back as it was written"};
  }
  OcspReply reply{std::move(response), std::nullopt};
  if (request.nonce.empty()) reply.window = OcspReply::Window{at->now, at->next_update};
  // Of what was never issued nothing is kept: strangers choose those numbers.
  if (const auto key = shelf_key(request); key && known) shelf_.put(*key, {data, std::move(*signature), at->now, at->next_update}, epoch);
  return reply;
}

OcspReply Responder::reply(ByteView request) {
  auto parsed = crypto::parse_ocsp_request(request);
  if (!parsed) return {failure(OcspFailure::malformed_request), std::nullopt};
  if (auto ready = from_shelf(*parsed)) return std::move(*ready);
  auto response = answer_live(*parsed);
  if (response) return std::move(*response);
  log::refusal("ocsp.refused", response.error());
  const bool passing = response.error().code == ErrorCode::clock_unsynchronised || response.error().code == ErrorCode::busy ||
                       response.error().code == ErrorCode::token_unavailable || response.error().code == ErrorCode::storage_unavailable;
  return {failure(passing ? OcspFailure::try_later : OcspFailure::internal_error), std::nullopt};
}

Status Responder::produce(const std::vector<ShelfKey>& keys) {
  auto at = moment();
  if (!at) return at.error();
  const auto epoch = shelf_.epoch();
  std::vector<StoredStatus> found;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    for (const ShelfKey& key : keys) {
      auto stored = certificate_status(reader, key.serial_hex);
      if (!stored) return stored.error();
      found.push_back(std::move(*stored));
    }
    return {};
  });
  if (!read) return read.error();
  for (std::size_t index = 0; index < keys.size(); ++index) {
    const ShelfKey& key = keys.at(index);
    const StoredStatus& stored = found.at(index);
    // Ended certificates are asked for seldom: their answers are made live.
    if (!stored.issued || stored.not_after <= at->now) {
      shelf_.remove(key);
      continue;
    }
    const Bytes data = encode_data({encode_single(certificate_id(key), OcspStatus::of(stored), *at)}, {}, *at);
    auto signature = signer_->sign(suite_, data);
    if (!signature) return signature.error();
    shelf_.put(key, {data, std::move(*signature), at->now, at->next_update}, epoch);
  }
  return {};
}

void Responder::status_changed(std::string_view serial_hex) {
  std::vector<ShelfKey> again;
  for (const OcspIdForm form : shelf_.begin_epoch(serial_hex)) again.push_back({form, std::string(serial_hex)});
  if (again.empty()) return;
  // Where this fails the next question is answered live.
  if (auto produced = produce(again); !produced) log::refusal("ocsp.not_produced", produced.error());
}

Result<bool> Responder::renew(std::size_t most) {
  if (config_.preproduced == 0) return false;
  std::vector<ShelfKey> due = shelf_.older_than(environment_.clock->now() - config_.validity / 2, most);
  if (due.size() < most && filled_to_ && !shelf_.full()) {
    auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
      const auto room = static_cast<std::int64_t>(most - due.size());
      auto serials = serials_in_force(reader, *filled_to_, environment_.clock->now(), room);
      if (!serials) return serials.error();
      if (serials->empty()) filled_to_.reset();
      if (!serials->empty()) filled_to_ = serials->back();
      for (std::string& serial : *serials) {
        ShelfKey key{OcspIdForm::sha1, std::move(serial)};
        if (!shelf_.find(key)) due.push_back(std::move(key));
      }
      return {};
    });
    if (!read) return read.error();
  }
  for (std::size_t index = 0; index < due.size(); index += batch_size) {
    const auto begin = due.begin() + static_cast<std::ptrdiff_t>(index);
    const auto end = due.begin() + static_cast<std::ptrdiff_t>(std::min(due.size(), index + batch_size));
    if (auto produced = produce({begin, end}); !produced) return produced.error();
  }
  return due.size() >= most || (filled_to_ && !shelf_.full());
}

}  // namespace intaglio::pki
