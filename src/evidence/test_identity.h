#pragma once

#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/signer.h"
#include "evidence/id_token.h"
#include "json/json.h"

/// An identity provider in software, for unit tests; no part of any process.
namespace intaglio::evidence::test {

struct SoftProvider {
  std::string issuer = "https://id.example.org", client_id = "intaglio", level = "http://eidas.europa.eu/LoA/high";
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();

  [[nodiscard]] json::Value jwk() const {
    auto jwk = *json::parse(*crypto::encode_jwk(key->public_key()));
    jwk["kid"] = "signing-1";
    jwk["alg"] = "ES256";
    jwk["use"] = "sig";
    return jwk;
  }
  /// As it stands in a policy document.
  [[nodiscard]] json::Value document() const {
    return {
        {"issuer", issuer},        {"client_id", client_id}, {"keys", json::Value::array({jwk()})}, {"acr", json::Value::array({level})},
        {"max_auth_seconds", 300}, {"max_skew_seconds", 30}};
  }
  [[nodiscard]] id_token::IssuerPolicy policy() const {
    return {.issuer = issuer,
            .client_id = client_id,
            .trust = std::vector<id_token::PinnedKey>{*id_token::parse_pinned_key(json::encode(jwk()))},
            .acr = {level},
            .max_authentication_age = std::chrono::seconds(300),
            .max_skew = std::chrono::seconds(30)};
  }
  /// An ID token for this person; `changes` replaces claims.
  [[nodiscard]] std::string answer(ByteView binding, const std::string& subject, UnixTime now,
                                   const json::Value& changes = json::Value::object()) const {
    json::Value claims{{"iss", issuer},
                       {"aud", client_id},
                       {"sub", subject},
                       {"nonce", encode_base64url(binding)},
                       {"acr", level},
                       {"iat", unix_seconds(now)},
                       {"exp", unix_seconds(now) + 300},
                       {"auth_time", unix_seconds(now) - 5}};
    claims.update(changes);
    const json::Value header{{"alg", "ES256"}, {"kid", "signing-1"}, {"typ", "JWT"}};
    const auto text = encode_base64url(as_bytes(json::encode(header))) + "." + encode_base64url(as_bytes(json::encode(claims)));
    const auto signature = *key->sign(crypto::SignatureSuite::ecdsa_sha256, as_bytes(text));
    return text + "." + encode_base64url(*crypto::ecdsa_to_raw(signature, 32));
  }
};

}  // namespace intaglio::evidence::test
