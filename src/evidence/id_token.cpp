#include "evidence/id_token.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/inspection.h"
#include "json/json.h"

namespace intaglio::evidence::id_token {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;

constexpr std::size_t max_token = 16 * 1024, max_jwk = 4096, max_chain = 4;
constexpr std::size_t max_kid = 256, max_subject = 255, max_text = 1024;  // `sub`: OpenID Connect Core, 2
constexpr std::size_t coordinate_size = 32;
constexpr std::int64_t max_age = 5 * 60;
constexpr std::int64_t end_of_time = 253'402'300'799;  // 9999-12-31T23:59:59Z: sums of two times do not overflow

Error refuse(std::string_view why) { return {ErrorCode::authentication_failed, "ID token: " + std::string(why)}; }
Error refuse_key(std::string_view why) { return {ErrorCode::invalid_request, "key of an identity provider: " + std::string(why)}; }

SignatureSuite suite_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::rs256: return SignatureSuite::rsa_pkcs1_sha256;
    case Algorithm::ps256: return SignatureSuite::rsa_pss_sha256;
    case Algorithm::es256: break;
  }
  return SignatureSuite::ecdsa_sha256;
}
/// RFC 7518, 3.4: ES256 is P-256, not any curve.
bool goes_with(const crypto::PublicKey& key, Algorithm algorithm) {
  return algorithm == Algorithm::es256 ? key.algorithm() == KeyAlgorithm::p256 : crypto::is_rsa(key.algorithm());
}

/// Views into the token.
struct Parts {
  std::string_view header, payload, signature, signed_part;
};
Result<Parts> split(std::string_view token) {
  if (refused_by("id-token.size", token.size() > max_token)) return refuse("more than 16 KiB");
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  // A dot in what remains is no base64url.
  if (second == std::string_view::npos) return refuse("not three parts");
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1), token.substr(0, second)};
}

Result<json::Value> parse_object(std::string_view part, const json::Bounds& bounds) {
  const auto bytes = parse_base64url(part);
  if (!bytes) return refuse("a part that is not base64url");
  auto value = json::parse(as_text(*bytes), bounds);
  if (!value) return refuse("a part that is not JSON: " + value.error().detail);
  if (!value->is_object()) return refuse("a part that is no object");
  return value;
}

/// What the header may not bring: a key of the sender's choice, or rules that we do not know.
Status check_header(const json::Value& header) {
  const bool brings_key = header.contains("jku") || header.contains("jwk") || header.contains("x5u");
  if (refused_by("id-token.key-in-header", brings_key)) return refuse("it brings a key");
  if (refused_by("id-token.crit", header.contains("crit") || header.contains("b64"))) return refuse("it asks for an extension");
  // RFC 8725, 3.11: an access token or a logout token of the same provider is no ID token.
  const bool other_type = header.contains("typ") && header["typ"] != "JWT";
  if (refused_by("id-token.type", other_type)) return refuse("a token of another type");
  return {};
}

struct Trusted {
  Algorithm algorithm;
  crypto::PublicKey key;
};

Result<Trusted> pinned_key(const std::vector<PinnedKey>& keys, const json::Value& header, std::string_view kid) {
  if (refused_by("id-token.certificate-without-authority", header.contains("x5c"))) return refuse("a certificate where a key is pinned");
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const PinnedKey& key) { return key.kid == kid; });
  if (found == keys.end()) return refuse("a key that is not pinned");
  return Trusted{found->algorithm, found->key};
}

Result<std::vector<crypto::Certificate>> parse_chain(const json::Value& header) {
  const auto* list = json::member(header, "x5c");
  const bool fits = list != nullptr && list->is_array() && !list->empty() && list->size() <= max_chain;
  if (!fits) return refuse("no certificates, or too many");
  std::vector<crypto::Certificate> chain;
  for (const auto& item : *list) {
    const auto der =
        item.is_string() ? parse_base64(item.get_ref<const std::string&>()) : Result<Bytes>(refuse("x5c holds something else"));
    auto certificate = der ? crypto::Certificate::parse_der(*der) : Result<crypto::Certificate>(der.error());
    if (!certificate) return refuse("a certificate that does not parse");
    chain.push_back(std::move(*certificate));
  }
  return chain;
}

Result<Trusted> certified_key(const PinnedAuthority& authority, const json::Value& header, UnixTime now) {
  const auto chain = parse_chain(header);
  if (!chain) return chain.error();
  const auto& leaf = chain->front();
  const bool foreign = authority.subject.empty() || leaf.subject() != authority.subject;
  if (refused_by("id-token.certificate-subject", foreign)) return refuse("a certificate of somebody else");
  const auto facts = crypto::inspect(leaf);
  if (!facts) return refuse("a certificate that does not parse");
  const auto usage = facts->key_usage.value_or(std::vector<std::string>{});
  const bool signs = std::find(usage.begin(), usage.end(), "digitalSignature") != usage.end();
  if (refused_by("id-token.certificate-purpose", !signs || facts->is_ca == true)) return refuse("a certificate for another purpose");
  const bool outside = now < leaf.not_before() || now > leaf.not_after();
  if (refused_by("id-token.certificate-validity", outside)) return refuse("a certificate outside its validity");
  const std::vector<crypto::Certificate> intermediates(chain->begin() + 1, chain->end());
  const bool leads = !authority.anchors.empty() && crypto::verify_chain(leaf, intermediates, authority.anchors, now);
  if (refused_by("id-token.certificate-chain", !leads)) return refuse("a certificate that does not lead to the pinned authority");
  auto key = leaf.public_key();
  if (!key) return refuse("a certificate with a key that is not served");
  return Trusted{authority.algorithm, std::move(*key)};
}

Result<Trusted> key_of(const IssuerPolicy& policy, const json::Value& header, UnixTime now) {
  const auto kid = json::text_member(header, "kid", max_kid);
  if (refused_by("id-token.kid", !kid || kid->empty())) return refuse("no key is named");
  if (const auto* keys = std::get_if<std::vector<PinnedKey>>(&policy.trust)) return pinned_key(*keys, header, kid ? *kid : "");
  return certified_key(std::get<PinnedAuthority>(policy.trust), header, now);
}

Status check_signature(const Trusted& trusted, const json::Value& header, const Parts& parts) {
  const auto alg = json::text_member(header, "alg", 16);
  if (refused_by("id-token.alg", !alg || *alg != name_of(trusted.algorithm))) return refuse("another algorithm than the key's");
  if (refused_by("id-token.key-type", !goes_with(trusted.key, trusted.algorithm))) return refuse("a key of another type");
  auto signature = parse_base64url(parts.signature);
  if (!signature) return refuse("a signature that is not base64url");
  if (trusted.algorithm == Algorithm::es256) {
    if (signature->size() != 2 * coordinate_size) return refuse("a signature of another length");
    signature = crypto::ecdsa_to_der(*signature);
    if (!signature) return refuse("a signature of another form");
  }
  const auto verified = trusted.key.verify(suite_of(trusted.algorithm), as_bytes(parts.signed_part), *signature);
  if (refused_by("id-token.signature", !verified)) return refuse("the signature does not verify");
  return {};
}

Status check_party(const IssuerPolicy& policy, const json::Value& claims) {
  const auto issuer = json::text_member(claims, "iss", max_text);
  if (refused_by("id-token.iss", !issuer || policy.issuer.empty() || *issuer != policy.issuer)) return refuse("another issuer");
  const auto* audience = json::member(claims, "aud");
  const bool listed = audience != nullptr && audience->is_array() && audience->size() == 1;
  if (listed) audience = &audience->front();
  const bool ours = audience != nullptr && audience->is_string() && !policy.client_id.empty() && *audience == policy.client_id;
  if (refused_by("id-token.aud", !ours)) return refuse("another audience, or several");
  const bool other_party = claims.contains("azp") && claims["azp"] != policy.client_id;
  if (refused_by("id-token.azp", other_party)) return refuse("made for another party");
  return {};
}

/// Nothing when it is absent. NumericDate in whole seconds; null, fractions and times before 1970 are no times.
Result<std::optional<std::int64_t>> time_of(const json::Value& claims, std::string_view name) {
  if (!claims.contains(name)) return std::optional<std::int64_t>();
  const auto time = json::integer_member(claims, name);
  if (!time || *time < 0 || *time > end_of_time) return refuse("a time that is none");
  return std::optional(*time);
}

struct Times {
  std::int64_t issued_at;
  std::optional<std::int64_t> auth_time;
};
Result<Times> check_times(const IssuerPolicy& policy, const json::Value& claims, std::int64_t now) {
  const std::int64_t skew = policy.max_skew.count();
  const auto expires = time_of(claims, "exp");
  const auto issued_at = time_of(claims, "iat");
  const auto not_before = time_of(claims, "nbf");
  const auto auth_time = time_of(claims, "auth_time");
  for (const auto* time : {&expires, &issued_at, &not_before, &auth_time}) {
    if (!*time) return time->error();
  }
  if (refused_by("id-token.exp", expires->value_or(0) <= now)) return refuse("it has expired");
  if (refused_by("id-token.iat-age", now - issued_at->value_or(0) > max_age)) return refuse("issued too long ago");
  if (refused_by("id-token.iat-future", issued_at->value_or(0) > now + skew)) return refuse("issued in the future");
  if (refused_by("id-token.nbf", not_before->value_or(0) > now + skew)) return refuse("not valid yet");
  if (refused_by("id-token.auth-time-future", auth_time->value_or(0) > now + skew)) return refuse("authenticated in the future");
  if (policy.max_authentication_age) {
    const bool old = now - auth_time->value_or(0) > policy.max_authentication_age->count();
    // Without the claim the moment is 1970, which a policy of many years would let in.
    if (refused_by("id-token.auth-time", !*auth_time)) return refuse("it does not say when the person authenticated");
    if (refused_by("id-token.auth-time-age", old)) return refuse("authenticated too long ago");
  }
  return Times{issued_at->value_or(0), *auth_time};
}

Status check_nonce(const json::Value& claims, ByteView binding) {
  const auto nonce = json::text_member(claims, "nonce", max_text);
  const bool other = !nonce || binding.empty() || *nonce != encode_base64url(binding);
  if (refused_by("id-token.nonce", other)) return refuse("an answer to something else");
  return {};
}

Result<std::string> check_acr(const IssuerPolicy& policy, const json::Value& claims) {
  const auto acr = json::text_member(claims, "acr", max_text);
  const bool low = !acr || std::find(policy.acr.begin(), policy.acr.end(), *acr) == policy.acr.end();
  if (refused_by("id-token.acr", low)) return refuse("an authentication that the policy does not let in");
  return acr ? *acr : "";
}

Result<crypto::PublicKey> parse_ec_key(const json::Value& jwk) {
  const auto x = json::base64url_member(jwk, "x", coordinate_size);
  const auto y = json::base64url_member(jwk, "y", coordinate_size);
  const auto curve = json::text_member(jwk, "crv", 16);
  const bool whole = x && y && x->size() == coordinate_size && y->size() == coordinate_size;
  if (!curve || *curve != "P-256" || !whole) return refuse_key("not a point on P-256");
  Bytes point{0x04};
  append(point, *x);
  append(point, *y);
  return crypto::PublicKey::from_ec_point(KeyAlgorithm::p256, point);
}
Result<crypto::PublicKey> parse_rsa_key(const json::Value& jwk) {
  const auto modulus = json::base64url_member(jwk, "n", 512);
  const auto exponent = json::base64url_member(jwk, "e", 8);
  if (!modulus || !exponent) return refuse_key("no modulus or exponent");
  return crypto::PublicKey::from_rsa(*modulus, *exponent);
}

}  // namespace

std::string_view name_of(Algorithm algorithm) noexcept {
  switch (algorithm) {
    case Algorithm::rs256: return "RS256";
    case Algorithm::ps256: return "PS256";
    case Algorithm::es256: break;
  }
  return "ES256";
}

std::optional<Algorithm> parse_algorithm(std::string_view name) noexcept {
  for (const auto known : {Algorithm::rs256, Algorithm::ps256, Algorithm::es256}) {
    if (name_of(known) == name) return known;
  }
  return std::nullopt;
}

Result<PinnedKey> parse_pinned_key(std::string_view jwk) {
  const auto value = json::parse(jwk, {.max_bytes = max_jwk, .max_depth = 3, .max_members = 32});
  if (!value || !value->is_object()) return refuse_key("not a JWK");
  const auto kid = json::text_member(*value, "kid", max_kid);
  if (!kid || kid->empty()) return refuse_key("no kid");
  const auto alg = json::text_member(*value, "alg", 16);
  const auto algorithm = alg ? parse_algorithm(*alg) : std::nullopt;
  if (!algorithm) return refuse_key("an algorithm that is not served");
  const bool secret = value->contains("d") || value->contains("k");
  if (refused_by("id-token.jwk-secret", secret)) return refuse_key("it holds a secret");
  if (refused_by("id-token.jwk-use", value->contains("use") && (*value)["use"] != "sig")) return refuse_key("not for signatures");
  const auto type = json::text_member(*value, "kty", 8);
  const bool ec = *algorithm == Algorithm::es256;
  if (!type || *type != (ec ? "EC" : "RSA")) return refuse_key("a key type that does not go with its algorithm");
  auto key = ec ? parse_ec_key(*value) : parse_rsa_key(*value);
  if (!key) return key.error();
  return PinnedKey{*kid, *algorithm, std::move(*key)};
}

Result<Identity> verify_identification(const IssuerPolicy& policy, ByteView binding, std::string_view token, UnixTime now) {
  const auto parts = split(token);
  if (!parts) return parts.error();
  const auto header = parse_object(parts->header, {.max_bytes = max_token, .max_depth = 3, .max_members = 32});
  if (!header) return header.error();
  if (auto fit = check_header(*header); !fit) return fit.error();
  const auto trusted = key_of(policy, *header, now);
  if (!trusted) return trusted.error();
  if (auto verified = check_signature(*trusted, *header, *parts); !verified) return verified.error();
  const auto claims = parse_object(parts->payload, {.max_bytes = max_token, .max_depth = 6, .max_members = 256});
  if (!claims) return claims.error();
  if (auto ours = check_party(policy, *claims); !ours) return ours.error();
  if (auto bound = check_nonce(*claims, binding); !bound) return bound.error();
  const auto times = check_times(policy, *claims, unix_seconds(now));
  if (!times) return times.error();
  auto acr = check_acr(policy, *claims);
  if (!acr) return acr.error();
  auto subject = json::text_member(*claims, "sub", max_subject);
  if (!subject || subject->empty()) return refuse("nobody is named");
  Identity identity{.subject = {policy.issuer, std::move(*subject)},
                    .acr = std::move(*acr),
                    .auth_time = std::nullopt,
                    .issued_at = from_unix_seconds(times->issued_at),
                    .digest = crypto::sha256(as_bytes(parts->signed_part)),
                    .evidence = to_bytes(token)};
  if (times->auth_time) identity.auth_time = from_unix_seconds(*times->auth_time);
  return identity;
}

Result<std::string> text_claim(const Identity& identity, std::string_view name) {
  const auto parts = split(as_text(identity.evidence));
  if (!parts) return parts.error();
  const auto claims = parse_object(parts->payload, {.max_bytes = max_token, .max_depth = 6, .max_members = 256});
  if (!claims) return claims.error();
  auto value = json::text_member(*claims, name, max_subject);
  if (!value || value->empty()) return refuse("it does not say " + std::string(name));
  return value;
}

Result<Identity> verify_approval(const IssuerPolicy& policy, const Subject& linked, ByteView binding, std::string_view token,
                                 UnixTime now) {
  auto identity = verify_identification(policy, binding, token, now);
  if (!identity) return identity;
  const auto& said = identity->subject;
  if (refused_by("id-token.linked-issuer", said.issuer != linked.issuer)) return refuse("a provider that is not the linked one");
  if (refused_by("id-token.linked-subject", said.identifier != linked.identifier)) return refuse("another person");
  return identity;
}

}  // namespace intaglio::evidence::id_token
