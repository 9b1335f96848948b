#include "crypto/jose/jwe.h"

#include "base/check.h"
#include "crypto/detail/compact.h"
#include "crypto/detail/key_wrap.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::crypto {
namespace {

constexpr std::string_view key_management = "ECDH-ES+A256KW", content_encryption = "A256GCM";
constexpr std::size_t content_key_size = 32, wrapped_key_size = 40, nonce_size = 12, tag_size = 16, max_party_info = 256;

struct ParsedHeader {
  JweHeader header;
  Bytes ephemeral_point;
};

Error refused(const char* detail) { return Error{ErrorCode::invalid_request, detail}; }

/// An optional member: an empty apu, apv or kid is left out by some writers and written empty by others.
Result<Bytes> party_info(const json::Value& header, std::string_view name) {
  if (json::member(header, name) == nullptr) return Bytes{};
  return json::base64url_member(header, name, max_party_info);
}

Result<Bytes> ephemeral_point(const json::Value& header) {
  const json::Value* const epk = json::member(header, "epk");
  if (epk == nullptr || !epk->is_object()) return refused("a message without an ephemeral key");
  auto point = detail::jwk_point(*epk);
  if (!point) return point;
  // Before the recipient sees it: an invalid-curve point would let a stranger learn the private key bit by bit.
  if (refused_by("jwe.epk_on_curve", !PublicKey::from_ec_point(KeyAlgorithm::p256, *point))) {
    return refused("an ephemeral key that is not on P-256");
  }
  return point;
}

Result<ParsedHeader> parse_jwe_header(std::string_view part) {
  const auto header = detail::parse_header(part, {"alg", "enc", "typ", "kid", "apu", "apv", "epk"});
  if (!header) return header.error();
  const auto alg = json::text_member(*header, "alg", 32);
  if (refused_by("jwe.alg", !alg || *alg != key_management)) return refused("a message whose key management is not ECDH-ES+A256KW");
  const auto enc = json::text_member(*header, "enc", 32);
  if (refused_by("jwe.enc", !enc || *enc != content_encryption)) return refused("a message whose encryption is not A256GCM");
  ParsedHeader parsed;
  auto typ = json::text_member(*header, "typ", 128);
  if (!typ) return typ.error();
  parsed.header.typ = std::move(*typ);
  if (json::member(*header, "kid") != nullptr) {
    auto kid = json::text_member(*header, "kid", 256);
    if (!kid) return kid.error();
    parsed.header.kid = std::move(*kid);
  }
  auto apu = party_info(*header, "apu");
  if (!apu) return apu.error();
  parsed.header.apu = std::move(*apu);
  auto apv = party_info(*header, "apv");
  if (!apv) return apv.error();
  parsed.header.apv = std::move(*apv);
  auto point = ephemeral_point(*header);
  if (!point) return point.error();
  parsed.ephemeral_point = std::move(*point);
  return parsed;
}

Result<Secret> wrapping_key(const KeyAgreement& own, ByteView peer, const JweHeader& header) {
  const auto shared = own.agree(peer);
  if (!shared) return shared.error();
  return detail::concat_kdf(*shared, key_management, header.apu, header.apv, content_key_size);
}

}  // namespace

Result<std::string> make_jwe(const PublicKey& recipient, const JweHeader& header, ByteView plaintext) {
  if (recipient.algorithm() != KeyAlgorithm::p256) return Error{ErrorCode::algorithm_refused, "messages go to P-256 keys"};
  const auto recipient_point = recipient.ec_point();
  if (!recipient_point) return recipient_point.error();
  const auto ephemeral = SoftwareKey::generate();
  if (!ephemeral) return ephemeral.error();
  const auto epk = encode_jwk((*ephemeral)->public_key());
  if (!epk) return epk.error();
  const auto key = wrapping_key(**ephemeral, *recipient_point, header);
  if (!key) return key.error();
  const auto content_key = random_secret(content_key_size);
  if (!content_key) return content_key.error();
  const auto wrapped = detail::wrap_key(*key, *content_key);
  if (!wrapped) return wrapped.error();

  auto epk_value = json::parse(*epk);
  if (!epk_value) return epk_value.error();
  json::Value members{{"alg", key_management}, {"enc", content_encryption}, {"epk", std::move(*epk_value)}, {"typ", header.typ}};
  if (!header.kid.empty()) members["kid"] = header.kid;
  if (!header.apu.empty()) members["apu"] = encode_base64url(header.apu);
  if (!header.apv.empty()) members["apv"] = encode_base64url(header.apv);
  const std::string protected_header = encode_base64url(as_bytes(json::encode(members)));

  // The additional data is the protected header as it is sent (RFC 7516, 5.1, step 14).
  const auto sealed = gcm_seal(content_key->reveal(), plaintext, as_bytes(protected_header));
  if (!sealed) return sealed.error();
  const ByteView all(*sealed);
  std::string token = protected_header + "." + encode_base64url(*wrapped) + "." + encode_base64url(all.first(nonce_size)) + "." +
                      encode_base64url(all.subspan(nonce_size, all.size() - nonce_size - tag_size)) + "." +
                      encode_base64url(all.last(tag_size));
  if (token.size() > detail::max_compact_size) return Error{ErrorCode::too_large, "a message of more than 64 KiB"};
  return token;
}

Result<JweHeader> peek_jwe_header(std::string_view compact) {
  const auto parts = detail::split_compact<5>(compact);
  if (!parts) return parts.error();
  auto parsed = parse_jwe_header((*parts)[0]);
  if (!parsed) return parsed.error();
  return std::move(parsed->header);
}

Result<Secret> open_jwe(const KeyAgreement& recipient, std::string_view typ, std::string_view compact) {
  const auto parts = detail::split_compact<5>(compact);
  if (!parts) return parts.error();
  const auto [header_part, key_part, nonce_part, ciphertext_part, tag_part] = *parts;
  const auto parsed = parse_jwe_header(header_part);
  if (!parsed) return parsed.error();
  if (refused_by("jwe.typ", parsed->header.typ != typ)) return refused("a message of another type");
  const auto wrapped = parse_base64url(key_part);
  const auto nonce = parse_base64url(nonce_part);
  const auto ciphertext = parse_base64url(ciphertext_part);
  const auto tag = parse_base64url(tag_part);
  if (!wrapped || !nonce || !ciphertext || !tag) return refused("a part that is not base64url");
  if (wrapped->size() != wrapped_key_size || nonce->size() != nonce_size || tag->size() != tag_size) {
    return refused("a key, nonce or tag of another length");
  }
  const auto key = wrapping_key(recipient, parsed->ephemeral_point, parsed->header);
  if (!key) return key.error();
  const auto content_key = detail::unwrap_key(*key, *wrapped);
  if (!content_key) return content_key.error();
  Bytes sealed = *nonce;
  append(sealed, *ciphertext);
  append(sealed, *tag);
  return gcm_open(content_key->reveal(), sealed, as_bytes(header_part));
}

}  // namespace intaglio::crypto
