#include "evidence/webauthn.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/inspection.h"
#include "evidence/cbor.h"
#include "json/json.h"

namespace intaglio::evidence::webauthn {
namespace {

using cbor::Item;
using crypto::KeyAlgorithm;
using crypto::Sha256Digest;
using crypto::SignatureSuite;

constexpr std::size_t max_client_data = 4096, max_attestation_object = 16 * 1024, max_extensions = 1024;
constexpr std::size_t min_credential_id = 16, max_credential_id = 1023;  // 4, "Credential ID"
constexpr std::size_t fixed_part = 37;                                   // 6.1: rpIdHash, flags, signCount
constexpr std::size_t max_chain = 5;
constexpr std::string_view aaguid_extension = "1.3.6.1.4.1.45724.1.1.4";

Error refuse(std::string_view why) { return {ErrorCode::authentication_failed, "passkey: " + std::string(why)}; }

/// 6.1, flags.
enum Flag : std::uint8_t {
  user_present = 0x01,
  user_verified = 0x04,
  backup_eligible = 0x08,
  backed_up = 0x10,
  attested_credential = 0x40,
  extensions = 0x80,
};

/// What the browser says that it did (5.8.1); the authenticator signs its hash.
Status check_client_data(const Rules& rules, ByteView challenge, ByteView client_data, std::string_view type) {
  auto data = json::parse(as_text(client_data), {.max_bytes = max_client_data, .max_depth = 4, .max_members = 32});
  if (!data) return refuse("clientDataJSON is not JSON");
  if (!data->is_object()) return refuse("clientDataJSON is no object");
  const auto said_type = json::text_member(*data, "type");
  if (refused_by("webauthn.type", !said_type || *said_type != type)) return refuse("another ceremony");
  const auto said_challenge = json::text_member(*data, "challenge");
  const bool other_challenge = !said_challenge || challenge.empty() || *said_challenge != encode_base64url(challenge);
  if (refused_by("webauthn.challenge", other_challenge)) return refuse("another challenge");
  const auto origin = json::text_member(*data, "origin");
  const bool foreign = !origin || std::find(rules.origins.begin(), rules.origins.end(), *origin) == rules.origins.end();
  if (refused_by("webauthn.origin", foreign)) return refuse("another origin");
  const auto* cross_origin = json::member(*data, "crossOrigin");
  const bool framed = cross_origin != nullptr && (!cross_origin->is_boolean() || cross_origin->get<bool>());
  if (refused_by("webauthn.cross-origin", framed)) return refuse("inside a page of another origin");
  if (refused_by("webauthn.top-origin", json::member(*data, "topOrigin") != nullptr)) return refuse("below a page of another origin");
  return {};
}

/// COSE_Key (RFC 9052, 7; RFC 9053; RFC 8812): the suites that we verify, each with the one key that fits it.
struct CoseKey {
  crypto::PublicKey key;
  SignatureSuite suite;
};

std::optional<SignatureSuite> suite_of(std::int64_t algorithm) {
  switch (algorithm) {
    case -7: return SignatureSuite::ecdsa_sha256;
    case -35: return SignatureSuite::ecdsa_sha384;
    case -36: return SignatureSuite::ecdsa_sha512;
    case -37: return SignatureSuite::rsa_pss_sha256;
    case -257: return SignatureSuite::rsa_pkcs1_sha256;
    default: return std::nullopt;
  }
}

std::optional<std::int64_t> number_of(const Item* item) {
  const auto* number = item == nullptr ? nullptr : item->as<std::int64_t>();
  return number == nullptr ? std::nullopt : std::optional(*number);
}
std::optional<ByteView> bytes_of(const Item* item) {
  const auto* bytes = item == nullptr ? nullptr : item->as<ByteView>();
  return bytes == nullptr ? std::nullopt : std::optional(*bytes);
}

Result<crypto::PublicKey> parse_ec_key(const Item& key, SignatureSuite suite) {
  struct Curve {
    SignatureSuite suite;
    std::int64_t number;
    KeyAlgorithm algorithm;
    std::size_t coordinate;
  };
  constexpr std::array<Curve, 3> curves{{{SignatureSuite::ecdsa_sha256, 1, KeyAlgorithm::p256, 32},
                                         {SignatureSuite::ecdsa_sha384, 2, KeyAlgorithm::p384, 48},
                                         {SignatureSuite::ecdsa_sha512, 3, KeyAlgorithm::p521, 66}}};
  const auto* const curve = std::find_if(curves.begin(), curves.end(), [&](const Curve& known) { return known.suite == suite; });
  // 5.8.5: with these algorithms the curve is the one of the same strength.
  if (curve == curves.end() || number_of(key.find(-1)) != curve->number) return refuse("a curve that does not go with its algorithm");
  const auto x = bytes_of(key.find(-2));
  const auto y = bytes_of(key.find(-3));
  if (!x || !y || x->size() != curve->coordinate || y->size() != curve->coordinate) return refuse("coordinates of another length");
  Bytes point{0x04};
  append(point, *x);
  append(point, *y);
  return crypto::PublicKey::from_ec_point(curve->algorithm, point);
}

Result<crypto::PublicKey> parse_rsa_key(const Item& key) {
  const auto modulus = bytes_of(key.find(-1));
  const auto exponent = bytes_of(key.find(-2));
  if (!modulus || !exponent) return refuse("an RSA key without modulus or exponent");
  return crypto::PublicKey::from_rsa(*modulus, *exponent);
}

Result<CoseKey> parse_cose_key(const Item& key) {
  const auto algorithm = number_of(key.find(3));
  const auto suite = algorithm ? suite_of(*algorithm) : std::nullopt;
  if (!suite) return refuse("a key of an algorithm that is not served");
  constexpr std::int64_t ec2 = 2, rsa = 3;
  const auto type = number_of(key.find(1));
  const bool is_rsa = *suite == SignatureSuite::rsa_pss_sha256 || *suite == SignatureSuite::rsa_pkcs1_sha256;
  if (type != (is_rsa ? rsa : ec2)) return refuse("a key type that does not go with its algorithm");
  auto parsed = is_rsa ? parse_rsa_key(key) : parse_ec_key(key, *suite);
  if (!parsed) return refuse(parsed.error().detail);
  return CoseKey{std::move(*parsed), *suite};
}

/// 6.1. Views into the input.
struct AuthenticatorData {
  std::uint8_t flags;
  std::uint32_t counter;
  struct Attested {
    Aaguid model;
    ByteView id;
    CoseKey key;
  };
  std::optional<Attested> attested;
  [[nodiscard]] bool has(Flag flag) const noexcept { return (flags & flag) != 0; }
};

Result<AuthenticatorData::Attested> parse_attested(ByteView& rest) {
  constexpr std::size_t model_size = 16, length_size = 2;
  if (rest.size() < model_size + length_size) return refuse("authenticator data that ends too early");
  Aaguid model{};
  std::copy_n(rest.begin(), model_size, model.begin());
  const auto length = std::size_t{rest[model_size]} << 8U | rest[model_size + 1];
  rest = rest.subspan(model_size + length_size);
  const bool unfit = length < min_credential_id || length > max_credential_id || rest.size() < length;
  if (refused_by("webauthn.credential-id", unfit)) return refuse("a credential id of another length");
  const auto id = rest.first(std::min(length, rest.size()));
  rest = rest.subspan(id.size());
  auto key = cbor::parse_prefix(rest);
  if (!key) return refuse("a key that is not CBOR");
  rest = rest.subspan(key->size);
  auto parsed = parse_cose_key(key->item);
  if (!parsed) return parsed.error();
  return AuthenticatorData::Attested{model, id, std::move(*parsed)};
}

Result<AuthenticatorData> parse_authenticator_data(const Rules& rules, ByteView input, bool registering) {
  if (input.size() < fixed_part) return refuse("authenticator data that ends too early");
  const auto rp = crypto::sha256(as_bytes(rules.rp_id));
  if (refused_by("webauthn.rp-id", !std::equal(rp.begin(), rp.end(), input.begin()))) return refuse("another relying party");
  AuthenticatorData data{input[32], 0, std::nullopt};
  for (std::size_t at = 33; at < fixed_part; ++at) data.counter = data.counter << 8U | input[at];
  if (refused_by("webauthn.user-present", !data.has(user_present))) return refuse("nobody was present");
  if (refused_by("webauthn.user-verified", !data.has(user_verified))) return refuse("the person was not verified");
  const bool impossible = data.has(backed_up) && !data.has(backup_eligible);
  if (refused_by("webauthn.backup-flags", impossible)) return refuse("backed up, though it cannot be");
  auto rest = input.subspan(fixed_part);
  if (refused_by("webauthn.attested", data.has(attested_credential) != registering))
    return refuse("a credential where none belongs, or none");
  if (data.has(attested_credential)) {
    auto attested = parse_attested(rest);
    if (!attested) return attested.error();
    data.attested = std::move(*attested);
  }
  if (data.has(extensions)) {
    const auto outputs = cbor::parse_prefix(rest);
    if (!outputs || outputs->size > max_extensions || outputs->item.as<cbor::Map>() == nullptr) return refuse("extensions that are no map");
    rest = rest.subspan(outputs->size);
  }
  if (refused_by("webauthn.trailing", !rest.empty())) return refuse("bytes after the authenticator data");
  return data;
}

Result<std::vector<crypto::Certificate>> parse_chain(const Item& statement) {
  const auto* list = statement.find("x5c");
  const auto* items = list == nullptr ? nullptr : list->as<cbor::Array>();
  if (items == nullptr || items->empty() || items->size() > max_chain) return refuse("an attestation without its certificates");
  std::vector<crypto::Certificate> chain;
  for (const auto& item : *items) {
    const auto der = bytes_of(&item);
    auto certificate = der ? crypto::Certificate::parse_der(*der) : Result<crypto::Certificate>(refuse("x5c holds something else"));
    if (!certificate) return refuse("an attestation certificate that does not parse");
    chain.push_back(std::move(*certificate));
  }
  return chain;
}

/// Whether it leads to a root of the policy. None that does is no fault: it counts as no attestation where none is asked for.
bool leads_to_root(const Rules& rules, const std::vector<crypto::Certificate>& chain, UnixTime now) {
  const std::vector<crypto::Certificate> intermediates(chain.begin() + 1, chain.end());
  return !rules.roots.empty() && static_cast<bool>(crypto::verify_chain(chain.front(), intermediates, rules.roots, now));
}

/// 8.2.1: what an attestation certificate must be.
Status check_attestation_certificate(const crypto::Certificate& certificate, const Aaguid& model) {
  const auto facts = crypto::inspect(certificate);
  if (!facts) return refuse("an attestation certificate that does not parse");
  const auto unit = certificate.subject_attribute("2.5.4.11");
  const auto country = certificate.subject_attribute("2.5.4.6");
  const bool named = country && country->size() == 2 && certificate.subject_attribute("2.5.4.10") &&
                     certificate.subject_attribute("2.5.4.3") && unit == "Authenticator Attestation";
  const bool of_its_kind = facts->version == 3 && named && facts->is_ca == false;
  if (refused_by("webauthn.attestation-certificate", !of_its_kind)) return refuse("not an attestation certificate");
  if (const auto* extension = facts->extension(aaguid_extension)) {
    // An OCTET STRING of 16 bytes.
    constexpr std::size_t header = 2;
    const bool same = !extension->critical && extension->value.size() == header + model.size() && extension->value[0] == 0x04 &&
                      extension->value[1] == model.size() && std::equal(model.begin(), model.end(), extension->value.begin() + header);
    if (refused_by("webauthn.attestation-model", !same)) return refuse("an attestation of another model");
  }
  return {};
}

struct Attested {
  const Rules& rules;
  const Item& statement;
  ByteView authenticator_data;
  const AuthenticatorData::Attested& credential;
  Sha256Digest client_data_hash;
  UnixTime now;
};

/// 8.2.
Result<Attestation> verify_packed(const Attested& in) {
  const auto algorithm = number_of(in.statement.find("alg"));
  const auto signature = bytes_of(in.statement.find("sig"));
  const auto suite = algorithm ? suite_of(*algorithm) : std::nullopt;
  if (!suite || !signature) return refuse("a packed attestation without algorithm or signature");
  Bytes message = to_bytes(in.authenticator_data);
  append(message, in.client_data_hash);
  if (in.statement.find("x5c") == nullptr) {
    if (refused_by("webauthn.self-algorithm", *suite != in.credential.key.suite)) return refuse("a self attestation of another algorithm");
    const auto verified = in.credential.key.key.verify(*suite, message, *signature);
    if (refused_by("webauthn.self-signature", !verified)) return refuse("the self attestation does not verify");
    return Attestation::self;
  }
  auto chain = parse_chain(in.statement);
  if (!chain) return chain.error();
  const auto key = chain->front().public_key();
  if (!key || !crypto::fits(key->algorithm(), *suite)) return refuse("an attestation key of another algorithm");
  if (refused_by("webauthn.packed-signature", !key->verify(*suite, message, *signature))) return refuse("the attestation does not verify");
  if (auto fit = check_attestation_certificate(chain->front(), in.credential.model); !fit) return fit.error();
  return leads_to_root(in.rules, *chain, in.now) ? Attestation::trusted : Attestation::none;
}

/// 8.6.
Result<Attestation> verify_u2f(const Attested& in) {
  const auto signature = bytes_of(in.statement.find("sig"));
  auto chain = parse_chain(in.statement);
  if (!chain) return chain.error();
  const auto key = chain->front().public_key();
  const bool unfit = !signature || chain->size() != 1 || !key || key->algorithm() != KeyAlgorithm::p256 ||
                     in.credential.key.suite != SignatureSuite::ecdsa_sha256;
  if (unfit) return refuse("not a U2F attestation");
  const bool has_model = in.credential.model != Aaguid{};
  if (refused_by("webauthn.u2f-model", has_model)) return refuse("a U2F attestation that names a model");
  const auto point = in.credential.key.key.ec_point();
  if (!point) return point.error();
  Bytes message{0x00};
  append(message, in.authenticator_data.first(32));
  append(message, in.client_data_hash);
  append(message, in.credential.id);
  append(message, *point);
  const auto verified = key->verify(SignatureSuite::ecdsa_sha256, message, *signature);
  if (refused_by("webauthn.u2f-signature", !verified)) return refuse("the attestation does not verify");
  return leads_to_root(in.rules, *chain, in.now) ? Attestation::trusted : Attestation::none;
}

Result<Attestation> verify_attestation(std::string_view format, const Attested& in) {
  if (format == "packed") return verify_packed(in);
  if (format == "fido-u2f") return verify_u2f(in);
  const auto* members = in.statement.as<cbor::Map>();
  const bool none = format == "none" && members != nullptr && members->empty();
  if (refused_by("webauthn.format", !none)) return refuse("an attestation of a format that is not served");
  return Attestation::none;
}

Status check_model(const Rules& rules, const Aaguid& model, Attestation attestation) {
  if (rules.models.empty()) return {};
  const bool listed = std::find(rules.models.begin(), rules.models.end(), model) != rules.models.end();
  if (refused_by("webauthn.model", attestation != Attestation::trusted || !listed))
    return refuse("a model that the policy does not let in");
  return {};
}

}  // namespace

Result<Registration> verify_registration(const Rules& rules, ByteView challenge, const RegistrationResponse& response, UnixTime now) {
  if (auto said = check_client_data(rules, challenge, response.client_data, "webauthn.create"); !said) return said.error();
  if (response.attestation_object.size() > max_attestation_object) return refuse("an attestation object that is too large");
  const auto object = cbor::parse(response.attestation_object);
  if (!object) return refuse("an attestation object that is not CBOR");
  const auto* format_item = object->find("fmt");
  const auto* format = format_item == nullptr ? nullptr : format_item->as<std::string_view>();
  const auto* statement = object->find("attStmt");
  const auto authenticator_data = bytes_of(object->find("authData"));
  if (format == nullptr || statement == nullptr || !authenticator_data) return refuse("an attestation object that lacks a member");
  auto data = parse_authenticator_data(rules, *authenticator_data, true);
  if (!data) return data.error();
  if (!data->attested) return refuse("no credential");
  if (refused_by("webauthn.backup-eligible", data->has(backup_eligible) && !rules.allow_backup_eligible))
    return refuse("a passkey that can be copied to other devices");
  const auto& attested = *data->attested;
  const auto attestation =
      verify_attestation(*format, {rules, *statement, *authenticator_data, attested, crypto::sha256(response.client_data), now});
  if (!attestation) return attestation.error();
  if (auto let_in = check_model(rules, attested.model, *attestation); !let_in) return let_in.error();
  return Registration{.credential = {.id = to_bytes(attested.id),
                                     .key = attested.key.key,
                                     .suite = attested.key.suite,
                                     .model = attested.model,
                                     .counter = data->counter,
                                     .backup_eligible = data->has(backup_eligible)},
                      .attestation = *attestation,
                      .backed_up = data->has(backed_up)};
}

Result<Assertion> verify_assertion(const Rules& rules, const Credential& credential, ByteView challenge,
                                   const AssertionResponse& response) {
  if (refused_by("webauthn.credential", response.credential_id != credential.id)) return refuse("another credential");
  if (auto said = check_client_data(rules, challenge, response.client_data, "webauthn.get"); !said) return said.error();
  const auto data = parse_authenticator_data(rules, response.authenticator_data, false);
  if (!data) return data.error();
  // 7.2, step 21: it does not change over the life of a credential.
  const bool changed = data->has(backup_eligible) != credential.backup_eligible;
  if (refused_by("webauthn.backup-changed", changed)) return refuse("another kind of passkey than was registered");
  Bytes message = response.authenticator_data;
  append(message, crypto::sha256(response.client_data));
  const auto verified = credential.key.verify(credential.suite, message, response.signature);
  if (refused_by("webauthn.signature", !verified)) return refuse("the signature does not verify");
  const bool counts = data->counter != 0 || credential.counter != 0;
  return Assertion{
      .counter = data->counter, .counter_regressed = counts && data->counter <= credential.counter, .backed_up = data->has(backed_up)};
}

}  // namespace intaglio::evidence::webauthn
