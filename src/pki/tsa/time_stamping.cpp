#include "pki/tsa/time_stamping.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/inspection.h"
#include "pki/ca/certificate_template.h"
#include "pki/store.h"
#include "pki/tsa/unit.h"

namespace intaglio::pki {

namespace {

using Failure = crypto::TimestampFailure;

/// genTime is written to the millisecond, downwards.
constexpr std::chrono::milliseconds resolution{1};

/// Requests are answered side by side, and whole seconds are kept: the later of two may be recorded first.
constexpr std::chrono::seconds tolerated_disorder{2};

std::string base64url_sha256(ByteView bytes) { return encode_base64url(crypto::sha256(bytes)); }

}  // namespace

TimeStamping::TimeStamping(TimestampPolicy policy, const Issuer& issuer, crypto::Certificate unit, UnixTime key_end,
                           std::shared_ptr<const crypto::Signer> signer, Environment environment)
    : policy_(std::move(policy)),
      issuer_(issuer),
      unit_(std::move(unit)),
      unit_serial_(unit_.serial_hex()),
      key_end_(key_end),
      signer_(std::move(signer)),
      environment_(std::move(environment)) {}

Result<std::unique_ptr<TimeStamping>> TimeStamping::open(TimestampPolicy policy, const Issuer& issuer, crypto::Certificate unit,
                                                         std::shared_ptr<const crypto::Signer> signer, Environment environment) {
  if (policy.hashes.empty() || policy.accuracy <= resolution || policy.accuracy > std::chrono::seconds(1)) {
    return Error{ErrorCode::configuration, "a time-stamping authority needs a hash, and an accuracy of one second or better"};
  }
  auto facts = crypto::inspect(unit);
  if (!facts) return facts.error();
  if (auto fit = check_unit_certificate(*facts); !fit) return fit.error();
  if (auto issued = unit.verify_issued_by(issuer.certificate); !issued) return issued.error();
  if (refused_by("tsa.unit.key", facts->spki != signer->public_key().spki()))
    return Error{ErrorCode::configuration, "the time-stamping unit's certificate is of another key"};
  const UnixTime key_end = facts->private_key_not_after.value_or(facts->not_before);
  return std::unique_ptr<TimeStamping>(
      new TimeStamping(std::move(policy), issuer, std::move(unit), key_end, std::move(signer), std::move(environment)));
}

Status TimeStamping::watch_clock() {
  auto trusted = environment_.clock->synchronised_within(policy_.accuracy - resolution);
  const bool good = static_cast<bool>(trusted);
  const std::lock_guard lock(clock_mutex_);
  if (clock_good_ == good) return trusted;
  if (!good) log::refusal("timestamp.stopped", trusted.error());
  const audit::Event event =
      good ? audit::Event{audit::EventType::timestamp_resumed, "pki", unit_serial_, audit::Outcome::success, {}}
           : audit::Event{
                 audit::EventType::timestamp_stopped, "pki", unit_serial_, audit::Outcome::failed, {{"reason", trusted.error().detail}}};
  // Only a change that is in the log is known: else the next request tells it.
  if (auto recorded = environment_.audit.record(event); !recorded) return trusted ? Status(recorded.error()) : trusted;
  clock_good_ = good;
  return trusted;
}

Status TimeStamping::check_not_revoked(storage::Reader& reader) const {
  auto status = certificate_status(reader, unit_serial_);
  if (!status) return status.error();
  if (status->revoked) return Error{ErrorCode::certificate_invalid, "the time-stamping unit's certificate is revoked"};
  return {};
}

Status TimeStamping::check_unit(UnixTime now) const {
  if (refused_by("tsa.unit.validity", now < unit_.not_before() || now > unit_.not_after()))
    return Error{ErrorCode::certificate_invalid, "the time-stamping unit's certificate is not valid"};
  // EN 319 421, 7.7.1: the key ends before its certificate.
  if (refused_by("tsa.unit.key_end", now >= key_end_))
    return Error{ErrorCode::certificate_invalid, "the time-stamping unit's key has ended: make a new one (docs/operate/time-stamping.md)"};
  return {};
}

Status TimeStamping::check_written(ByteView response, ByteView request, const crypto::TimestampInfo& info, UnixTime now) const {
  // The unit's certificate is the anchor: that the issuer signed it was checked at start.
  auto verified = crypto::verify_timestamp_response(response, request, {unit_}, {unit_}, now);
  if (refused_by("tsa.verified", !verified)) return Error{ErrorCode::signature_doubtful, verified.error().detail};
  auto answer = crypto::parse_timestamp_response(response);
  if (!answer) return answer.error();
  const bool same = answer->policy == info.policy && answer->serial_hex == encode_hex(info.serial) &&
                    answer->imprint_der == info.imprint_der && answer->nonce_der == info.nonce_der && answer->accuracy == info.accuracy &&
                    answer->generated_at == now;
  if (!same) return Error{ErrorCode::internal, "a time-stamp does not read back as it was written"};
  return {};
}

Status TimeStamping::record(const crypto::TimestampInfo& info, const crypto::TimestampRequest& request, ByteView response) {
  const std::string serial = encode_hex(info.serial);
  const UnixTime at(std::chrono::floor<std::chrono::seconds>(info.generated_at));
  const audit::Event event{audit::EventType::timestamp_issued,
                           "pki",
                           unit_serial_,
                           audit::Outcome::success,
                           {{"serial", serial},
                            {"policy", info.policy},
                            {"hash", request.hash_oid},
                            {"imprint", encode_base64url(request.hashed_message)},
                            {"generated_at_milliseconds", std::to_string(info.generated_at.count())},
                            {"response_sha256", base64url_sha256(response)}}};
  return environment_.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto good = check_not_revoked(transaction); refused_by("tsa.unit.revoked", !good)) return good;
    auto latest = latest_timestamp(transaction);
    if (!latest) return latest.error();
    if (refused_by("tsa.clock.back", *latest && at < **latest - tolerated_disorder))
      return Error{ErrorCode::clock_unsynchronised, "the clock was set back: a time-stamp of " + format_utc(**latest) + " was issued"};
    // RFC 3161, 2.4.2: a serial number is unique even after a crash.
    if (auto inserted = insert_timestamp(transaction, serial, at); !inserted) return inserted;
    auto entry = environment_.audit.append(transaction, event);
    if (!entry) return entry.error();
    fault_point("pki.timestamp.stored");
    return {};
  });
}

Result<Bytes> TimeStamping::grant(const crypto::TimestampRequest& request, ByteView request_der) {
  // Before the clock is asked: what it said is then known to be good, and a step after that is seen by the check below.
  const std::chrono::milliseconds generated_at(environment_.clock->unix_milliseconds());
  const UnixTime now(std::chrono::floor<std::chrono::seconds>(generated_at));
  if (auto trusted = watch_clock(); refused_by("tsa.clock", !trusted)) return trusted.error();
  if (auto good = check_unit(now); !good) return good.error();
  const auto kept = environment_.database.read([&](storage::Reader& reader) { return check_not_revoked(reader); });
  if (refused_by("tsa.unit.revoked-unsigned", !kept)) return kept.error();
  auto serial = random_serial();
  if (!serial) return serial.error();

  const crypto::TimestampInfo info{policy_.oid,      request.imprint_der, std::move(*serial), generated_at,
                                   policy_.accuracy, request.nonce_der,   policy_.qualified};
  const Bytes info_der = crypto::encode_timestamp_info(info);
  const auto suite = suite_of(signer_->public_key());
  const Bytes attributes = crypto::timestamp_attributes(info_der, crypto::hash_of(suite), unit_);
  auto signature = signer_->sign(suite, attributes);
  if (!signature) return signature.error();
  std::vector<crypto::Certificate> certificates;
  if (request.certificate_requested) certificates = {unit_, issuer_.certificate};
  Bytes response = crypto::timestamp_granted(info_der, attributes, suite, *signature, unit_, certificates);
  if (auto written = check_written(response, request_der, info, now); !written) return written.error();
  if (auto trusted = watch_clock(); refused_by("tsa.clock.still", !trusted)) return trusted.error();
  if (auto recorded = record(info, request, response); !recorded) return recorded.error();
  return response;
}

Bytes TimeStamping::answer(ByteView request) {
  const auto decision = decide_timestamp(request, policy_);
  if (const TimestampRefusal* refusal = decision.refusal()) return crypto::timestamp_rejection(refusal->failure, refusal->detail);
  auto response = grant(*decision.request(), request);
  if (response) return std::move(*response);
  log::refusal("timestamp.refused", response.error());
  if (response.error().code == ErrorCode::clock_unsynchronised)
    return crypto::timestamp_rejection(Failure::time_not_available, "the time source is not available");
  return crypto::timestamp_rejection(Failure::system_failure, "the authority cannot answer now");
}

}  // namespace intaglio::pki
