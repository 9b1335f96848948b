#include "crypto/jose/self_signed.h"

#include "base/check.h"
#include "crypto/detail/compact.h"
#include "json/json.h"

namespace intaglio::crypto {
namespace {

constexpr std::size_t coordinate_size = 32;

Error refused(std::string detail) { return {ErrorCode::invalid_request, std::move(detail)}; }

Result<PublicKey> key_in(const json::Value& header) {
  const auto* jwk = json::member(header, "jwk");
  if (jwk == nullptr || !jwk->is_object()) return refused("a header without jwk");
  const auto point = detail::jwk_point(*jwk);
  if (!point) return point.error();
  return PublicKey::from_ec_point(KeyAlgorithm::p256, *point);
}

}  // namespace

Result<SelfSigned> verify_self_signed(std::string_view compact, std::string_view typ) {
  const auto parts = detail::split_compact<3>(compact);
  if (!parts) return parts.error();
  const auto [header_part, payload_part, signature_part] = *parts;
  const auto header = detail::parse_header(header_part, {"alg", "typ", "jwk"});
  if (!header) return header.error();
  const auto alg = json::text_member(*header, "alg", 16);
  if (refused_by("self_signed.alg", !alg || *alg != "ES256")) return refused("a token that is not signed with ES256");
  const auto stated = json::text_member(*header, "typ", 128);
  if (refused_by("self_signed.typ", !stated || *stated != typ)) return refused("a token of another type");
  auto key = key_in(*header);
  if (!key) return key.error();
  const auto raw = parse_base64url(signature_part);
  if (!raw || raw->size() != 2 * coordinate_size) return refused("a signature of another length");
  const auto signature = ecdsa_to_der(*raw);
  if (!signature) return signature.error();
  const std::string_view signed_part = compact.substr(0, header_part.size() + 1 + payload_part.size());
  const auto verified = key->verify(SignatureSuite::ecdsa_sha256, as_bytes(signed_part), *signature);
  if (refused_by("self_signed.signature", !verified)) return verified.error();
  const auto payload = parse_base64url(payload_part);
  if (!payload) return payload.error();
  return SelfSigned{std::string(as_text(*payload)), std::move(*key)};
}

}  // namespace intaglio::crypto
