#include "sam/authorise/device_request.h"

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "json/json.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view typ = "intaglio-device+jwt";
constexpr std::size_t max_request = 2048;
/// How far the clock of a device may be off, either way.
constexpr std::int64_t clock_skew = 60;

Error failed() { return {ErrorCode::authentication_failed, "no device of this signer signed this"}; }

struct Asker {
  SignerId signer;
  Bytes device;
};

/// SIGNER.NAME: neither has a dot.
Result<Asker> parse_asker(std::string_view kid) {
  const auto dot = kid.find('.');
  if (dot == std::string_view::npos) return failed();
  auto signer = SignerId::parse(kid.substr(0, dot));
  auto device = parse_base64url(kid.substr(dot + 1));
  if (!signer || !device) return failed();
  return Asker{std::move(*signer), std::move(*device)};
}

struct Claims {
  std::string id;
  std::int64_t issued;
};

Result<Claims> parse_claims(std::string_view payload) {
  const Error malformed{ErrorCode::invalid_request, "a device's request is {\"jti\",\"iat\"}"};
  // The object itself is one of the three.
  auto claims = json::parse(payload, {.max_bytes = max_request, .max_depth = 2, .max_members = 3});
  if (!claims) return malformed;
  auto id = json::text_member(*claims, "jti", 64);
  auto issued = json::integer_member(*claims, "iat");
  if (!id || id->size() < 16 || !issued) return malformed;
  return Claims{std::move(*id), *issued};
}

/// Within the transaction: the record of who has factors, or nothing.
Result<std::optional<SignerRecord>> enrolled_signer(const Core& core, storage::Transaction& transaction, const SignerId& id) {
  auto row = core.factors.signers().find(transaction, id.text());
  if (!row) return row.error();
  if (!*row) return std::optional<SignerRecord>();
  auto record = parse_signer((*row)->content.reveal());
  if (!record) return record.error();
  if (!is_enrolled(*record)) return std::optional<SignerRecord>();
  return std::optional(std::move(*record));
}

}  // namespace

Result<SignerId> recognise_device(Core& core, std::string_view request) {
  if (auto ready = core.ready(); !ready) return ready.error();
  if (request.size() > max_request) return failed();
  const auto header = crypto::peek_jws_header(request);
  if (!header) return failed();
  auto asker = parse_asker(header->kid);
  if (!asker) return asker.error();
  const auto now = core.clock->now();
  auto recognised = core.database.write([&](storage::Transaction& transaction) -> Status {
    const auto signer = enrolled_signer(core, transaction, asker->signer);
    if (!signer) return signer.error();
    const auto key = core.factors.devices().key_named(transaction, asker->signer, *signer ? &**signer : nullptr, asker->device);
    if (!key) return key.error();
    const auto payload = crypto::verify_jws(request, typ, key->key);
    if (refused_by("sam.device-request.signature", !payload)) return failed();
    if (!payload) return payload.error();
    const auto claims = parse_claims(*payload);
    if (!claims) return claims.error();
    const auto age = unix_seconds(now) - claims->issued;
    if (refused_by("sam.device-request.time", age > clock_skew || age < -clock_skew))
      return Error{ErrorCode::invalid_request, "the request is of another time; the device's clock must be right to a minute"};
    // A request that is taken is over in two minutes at the latest, whatever its time says.
    auto once = core.factors.consume(transaction, "device request", asker->signer.text() + "." + claims->id,
                                     now + std::chrono::seconds(2 * clock_skew));
    if (refused_by("sam.device-request.once", !once)) return once;
    return {};
  });
  if (!recognised) return recognised.error();
  return std::move(asker->signer);
}

}  // namespace intaglio::sam
