#pragma once

#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/signer.h"
#include "evidence/device_key.h"
#include "evidence/webauthn.h"
#include "json/json.h"
#include "protocol/binding.h"

/// A passkey and a device in software, for unit tests; no part of any process.
namespace intaglio::evidence::test {

inline const std::string rp_id = "sign.example.org";
inline const std::string origin = "https://sign.example.org";

/// A CA certificate under its own key, good enough to stand in a policy.
inline Bytes self_signed(const crypto::SoftwareKey& key, UnixTime now) {
  namespace der = crypto::der;
  const auto name = *crypto::encode_name({{"2.5.4.3", "Test CA"}});
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto extension = der::sequence({der::oid("2.5.29.19"), der::boolean(true), der::octet_string(der::sequence({der::boolean(true)}))});
  const auto tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(1), algorithm, name,
                                  der::sequence({der::time(now - std::chrono::hours(1)), der::time(now + std::chrono::hours(24))}), name,
                                  key.public_key().spki(), der::explicit_tag(3, der::sequence({extension}))});
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *key.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}

struct SoftPasskey {
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();
  Bytes id = Bytes(32, 0x42);
  std::uint32_t counter = 0;
  bool counts = true;  ///< one more at each answer
  bool backup_eligible = false;

  /// navigator.credentials.get(): present and verified.
  [[nodiscard]] webauthn::AssertionResponse answer(ByteView challenge) {
    if (counts) ++counter;
    const auto client_data = told("webauthn.get", challenge);
    auto data = authenticator_data(0x05);
    Bytes message = data;
    append(message, crypto::sha256(client_data));
    return {id, client_data, std::move(data), *key->sign(crypto::SignatureSuite::ecdsa_sha256, message)};
  }
  /// navigator.credentials.create(), without attestation.
  [[nodiscard]] webauthn::RegistrationResponse registration(ByteView challenge) const {
    auto data = authenticator_data(0x45);
    data.insert(data.end(), 16, 0);
    data.push_back(static_cast<std::uint8_t>(id.size() >> 8U));
    data.push_back(static_cast<std::uint8_t>(id.size()));
    append(data, id);
    const auto point = *key->public_key().ec_point();
    append(data, Bytes{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20});  // EC2, ES256, P-256, x
    append(data, ByteView(point).subspan(1, 32));
    append(data, Bytes{0x22, 0x58, 0x20});  // y
    append(data, ByteView(point).subspan(33));
    Bytes object{0xa3};
    append(object, as_bytes("\x63"
                            "fmt"
                            "\x64"
                            "none"
                            "\x67"
                            "attStmt"
                            "\xa0"
                            "\x68"
                            "authData"));
    append(object, Bytes{0x58, static_cast<std::uint8_t>(data.size())});
    append(object, data);
    return {told("webauthn.create", challenge), std::move(object)};
  }

 private:
  [[nodiscard]] static Bytes told(const char* type, ByteView challenge) {
    return to_bytes(json::encode({{"type", type}, {"challenge", encode_base64url(challenge)}, {"origin", origin}, {"crossOrigin", false}}));
  }
  [[nodiscard]] Bytes authenticator_data(std::uint8_t flags) const {
    Bytes out = to_bytes(ByteView(crypto::sha256(as_bytes(rp_id))));
    out.push_back(static_cast<std::uint8_t>(flags | (backup_eligible ? 0x08U : 0U)));
    for (unsigned shift = 32; shift > 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(counter >> (shift - 8)));
    return out;
  }
};

struct SoftDevice {
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();

  [[nodiscard]] const Bytes& spki() const { return key->public_key().spki(); }
  [[nodiscard]] Bytes name() const { return to_bytes(ByteView(device_key::name_of(spki()))); }
  /// r | s over these bytes.
  [[nodiscard]] Bytes sign(ByteView input) const {
    return *crypto::ecdsa_to_raw(*key->sign(crypto::SignatureSuite::ecdsa_sha256, input), 32);
  }
  /// ECDSA with SHA-512, of which P-256 takes the first 32 bytes.
  [[nodiscard]] Bytes sign_with_sha512(ByteView input) const {
    const auto digest = crypto::digest(crypto::HashAlgorithm::sha512, input);
    return *crypto::ecdsa_to_raw(*key->sign_digest(crypto::SignatureSuite::ecdsa_sha256, ByteView(digest).first(32)), 32);
  }
  [[nodiscard]] device_key::Answer answer(std::string_view message_id, ByteView binding) const {
    return {name(), sign(device_key::approval_input(name(), message_id, binding))};
  }
  [[nodiscard]] device_key::Registration registration(std::string_view message_id, ByteView binding) const {
    return {spki(), sign(device_key::possession_input(spki(), message_id, binding))};
  }
};

/// What a person approved: one document, by a word that was typed.
struct ApprovedContract {
  protocol::Transaction transaction{.purpose = protocol::Purpose::sign,
                                    .nonce = Bytes(16, 9),
                                    .epoch = 1,
                                    .expires = from_unix_seconds(1'800'000'300),
                                    .signer = "alice",
                                    .key = "a-key",
                                    .certificate_digest = Bytes(32, 8),
                                    .profile = "direct-resident",
                                    .hash = 1,
                                    .suites = {7},
                                    .client_id = "sca",
                                    .client_name = "SCA",
                                    .documents = {{Bytes(32, 1), "contract.pdf"}}};
  protocol::Terms terms{"terms", "1", "en"};
  std::string act = "typed-yes";

  [[nodiscard]] crypto::Sha256Digest binding() const {
    const auto encoded = protocol::encode(transaction);
    return protocol::binding_digest(encoded, protocol::consent_digest(encoded, terms, act));
  }
};

}  // namespace intaglio::evidence::test
