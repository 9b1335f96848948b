#include "crypto/jose/jws.h"

#include "base/check.h"
#include "crypto/detail/compact.h"
#include "json/json.h"

namespace intaglio::crypto {
namespace {

constexpr std::string_view es256 = "ES256";
constexpr std::size_t coordinate_size = 32, max_jwk_size = 1024, max_kept_header = 512;

Result<JwsHeader> parse_new_header(std::string_view part) {
  const auto header = detail::parse_header(part, {"alg", "typ", "kid"});
  if (!header) return header.error();
  auto alg = json::text_member(*header, "alg", 16);
  if (!alg) return alg.error();
  JwsHeader parsed{std::move(*alg), {}, {}};
  if (header->contains("typ")) {
    auto typ = json::text_member(*header, "typ", 128);
    if (!typ) return typ.error();
    if (typ->empty()) return Error{ErrorCode::invalid_request, "a typ without a value"};
    parsed.typ = std::move(*typ);
  }
  if (json::member(*header, "kid") != nullptr) {
    auto kid = json::text_member(*header, "kid", 256);
    if (!kid) return kid.error();
    parsed.kid = std::move(*kid);
  }
  return parsed;
}

/// The tokens of one maker have one header, and several readers ask for it: each thread keeps the last one that it read, under its
/// whole text. What was refused is read anew.
Result<JwsHeader> parse_jws_header(std::string_view part) {
  struct Read {
    std::string part;
    JwsHeader header;
  };
  thread_local Read last;
  if (!part.empty() && part == last.part) return last.header;
  auto header = parse_new_header(part);
  if (header && part.size() <= max_kept_header) last = {std::string(part), *header};
  return header;
}

}  // namespace

Result<std::string> make_jws(const Signer& signer, std::string_view typ, std::string_view kid, std::string_view payload) {
  if (signer.public_key().algorithm() != KeyAlgorithm::p256) {
    return Error{ErrorCode::algorithm_refused, "a token is signed with ES256, hence a P-256 key"};
  }
  json::Value header{{"alg", es256}, {"typ", typ}};
  if (!kid.empty()) header["kid"] = kid;
  std::string token = encode_base64url(as_bytes(json::encode(header))) + "." + encode_base64url(as_bytes(payload));
  const auto signature = signer.sign(SignatureSuite::ecdsa_sha256, as_bytes(token));
  if (!signature) return signature.error();
  const auto raw = ecdsa_to_raw(*signature, coordinate_size);
  if (!raw) return raw.error();
  token += "." + encode_base64url(*raw);
  if (token.size() > detail::max_compact_size) return Error{ErrorCode::too_large, "a token of more than 64 KiB"};
  return token;
}

Result<JwsHeader> peek_jws_header(std::string_view compact) {
  const auto parts = detail::split_compact<3>(compact);
  if (!parts) return parts.error();
  return parse_jws_header((*parts)[0]);
}

Result<std::string> verify_jws(std::string_view compact, std::string_view typ, const PublicKey& key) {
  const auto parts = detail::split_compact<3>(compact);
  if (!parts) return parts.error();
  const auto [header_part, payload_part, signature_part] = *parts;
  const auto header = parse_jws_header(header_part);
  if (!header) return header.error();
  if (refused_by("jws.alg", header->alg != es256)) return Error{ErrorCode::invalid_request, "a token that is not signed with ES256"};
  if (refused_by("jws.typ", header->typ != typ)) return Error{ErrorCode::invalid_request, "a token of another type"};
  if (key.algorithm() != KeyAlgorithm::p256) return Error{ErrorCode::invalid_request, "ES256 is verified with a P-256 key"};
  const auto raw = parse_base64url(signature_part);
  if (!raw) return raw.error();
  if (raw->size() != 2 * coordinate_size) return Error{ErrorCode::invalid_request, "a signature of another length"};
  const auto signature = ecdsa_to_der(*raw);
  if (!signature) return signature.error();
  const std::string_view signed_part = compact.substr(0, header_part.size() + 1 + payload_part.size());
  const auto verified = key.verify(SignatureSuite::ecdsa_sha256, as_bytes(signed_part), *signature);
  if (refused_by("jws.signature", !verified)) return verified.error();
  const auto payload = parse_base64url(payload_part);
  if (!payload) return payload.error();
  return std::string(as_text(*payload));
}

Result<std::string> encode_jwk(const PublicKey& key) {
  if (key.algorithm() != KeyAlgorithm::p256) return Error{ErrorCode::unsupported, "only P-256 keys are written as JWK"};
  const auto point = key.ec_point();
  if (!point) return point.error();
  const ByteView coordinates = ByteView(*point).subspan(1);
  return json::encode({{"crv", "P-256"},
                       {"kty", "EC"},
                       {"x", encode_base64url(coordinates.first(coordinate_size))},
                       {"y", encode_base64url(coordinates.last(coordinate_size))}});
}

Result<PublicKey> parse_jwk(std::string_view json) {
  const auto jwk = json::parse(json, {max_jwk_size, 3, 32});
  if (!jwk) return jwk.error();
  const auto point = detail::jwk_point(*jwk);
  if (!point) return point.error();
  return PublicKey::from_ec_point(KeyAlgorithm::p256, *point);
}

Result<std::string> jwk_thumbprint(const PublicKey& key) {
  const auto jwk = encode_jwk(key);
  if (!jwk) return jwk.error();
  return encode_base64url(sha256(as_bytes(*jwk)));
}

}  // namespace intaglio::crypto
