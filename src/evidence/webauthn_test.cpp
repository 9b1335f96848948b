#include "evidence/webauthn.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/file.h"
#include "crypto/der.h"
#include "crypto/signer.h"
#include "evidence/cbor.h"
#include "json/json.h"

namespace intaglio::evidence::webauthn {
namespace {

namespace der = crypto::der;

/// CBOR as an authenticator writes it, and as none should.
Bytes cbor_head(unsigned major, std::uint64_t number) {
  const auto type = static_cast<std::uint8_t>(major << 5U);
  if (number < 24) return {static_cast<std::uint8_t>(type | number)};
  if (number < 256) return {static_cast<std::uint8_t>(type | 24U), static_cast<std::uint8_t>(number)};
  return {static_cast<std::uint8_t>(type | 25U), static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)};
}
Bytes cbor_number(std::int64_t number) {
  return number >= 0 ? cbor_head(0, static_cast<std::uint64_t>(number)) : cbor_head(1, static_cast<std::uint64_t>(-1 - number));
}
Bytes joined(Bytes head, const std::vector<Bytes>& parts) {
  for (const auto& part : parts) append(head, part);
  return head;
}
Bytes cbor_bytes(ByteView content) { return joined(cbor_head(2, content.size()), {to_bytes(content)}); }
Bytes cbor_text(std::string_view content) { return joined(cbor_head(3, content.size()), {to_bytes(content)}); }
Bytes cbor_map(const std::vector<Bytes>& members) { return joined(cbor_head(5, members.size() / 2), members); }
Bytes cbor_array(const std::vector<Bytes>& members) { return joined(cbor_head(4, members.size()), members); }

constexpr std::uint8_t up = 0x01, uv = 0x04, be = 0x08, bs = 0x10, at = 0x40, ed = 0x80;
const Bytes challenge = to_bytes("thirty-two bytes of a challenge!");
const std::string rp_id = "sign.example.org";
const std::string origin = "https://sign.example.org";
const UnixTime now = from_unix_seconds(1'800'000'000);
constexpr Aaguid model{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/// A passkey in software that does as it is told, so that each thing can be wrong by itself.
struct Authenticator {
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();
  Bytes id = Bytes(32, 0x42);
  Aaguid aaguid = model;
  std::uint32_t counter = 7;

  // What a client and an authenticator say.
  std::string rp = rp_id;
  json::Value client{{"type", "webauthn.get"}, {"challenge", encode_base64url(challenge)}, {"origin", origin}, {"crossOrigin", false}};
  std::uint8_t flags = up | uv;
  std::int64_t algorithm = -7, key_type = 2, curve = 1;
  Bytes after_key, trailing;

  [[nodiscard]] Bytes client_data() const { return to_bytes(json::encode(client)); }
  [[nodiscard]] Bytes cose_key() const {
    const auto point = *key->public_key().ec_point();
    return cbor_map({cbor_number(1), cbor_number(key_type), cbor_number(3), cbor_number(algorithm), cbor_number(-1), cbor_number(curve),
                     cbor_number(-2), cbor_bytes(ByteView(point).subspan(1, 32)), cbor_number(-3),
                     cbor_bytes(ByteView(point).subspan(33))});
  }
  [[nodiscard]] Bytes data() const {
    Bytes out = to_bytes(ByteView(crypto::sha256(as_bytes(rp))));
    out.push_back(flags);
    for (unsigned shift = 32; shift > 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(counter >> (shift - 8)));
    if ((flags & at) != 0) {
      append(out, aaguid);
      out.push_back(static_cast<std::uint8_t>(id.size() >> 8U));
      out.push_back(static_cast<std::uint8_t>(id.size()));
      append(out, id);
      append(out, cose_key());
    }
    append(out, after_key);
    append(out, trailing);
    return out;
  }
  [[nodiscard]] static Bytes sign(const crypto::SoftwareKey& by, Bytes message, ByteView client_data) {
    append(message, crypto::sha256(client_data));
    return *by.sign(crypto::SignatureSuite::ecdsa_sha256, message);
  }
  [[nodiscard]] AssertionResponse answer() const { return {id, client_data(), data(), sign(*key, data(), client_data())}; }
  [[nodiscard]] Credential credential() const {
    return {id, key->public_key(), crypto::SignatureSuite::ecdsa_sha256, aaguid, 6, (flags & be) != 0};
  }
};

Rules rules() { return {.rp_id = rp_id, .origins = {origin}, .allow_backup_eligible = false, .models = {}, .roots = {}}; }

template <typename T>
void expect_refused(const Result<T>& result, const std::string& why) {
  ASSERT_FALSE(result) << why;
  EXPECT_EQ(result.error().code, ErrorCode::authentication_failed) << why;
  EXPECT_NE(result.error().detail.find(why), std::string::npos) << result.error().detail << " instead of: " << why;
}

TEST(Webauthn, AnAssertionOverTheExpectedChallengeIsTaken) {
  const Authenticator device;
  const auto taken = verify_assertion(rules(), device.credential(), challenge, device.answer());
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(taken->counter, 7U);
  EXPECT_FALSE(taken->counter_regressed);
  EXPECT_FALSE(taken->backed_up);
}

TEST(Webauthn, EachThingThatDiffersInAnAssertionIsRefusedByItself) {
  struct Case {
    std::string why;
    std::function<void(Authenticator&)> change;
  };
  const std::vector<Case> cases = {
      {"another ceremony", [](auto& a) { a.client["type"] = "webauthn.create"; }},
      {"another ceremony", [](auto& a) { a.client.erase("type"); }},
      {"another ceremony", [](auto& a) { a.client["type"] = 1; }},
      {"another challenge", [](auto& a) { a.client["challenge"] = encode_base64url(to_bytes("something else")); }},
      {"another challenge", [](auto& a) { a.client["challenge"] = encode_base64url(challenge) + "="; }},
      {"another challenge", [](auto& a) { a.client["challenge"] = ""; }},
      {"another challenge", [](auto& a) { a.client.erase("challenge"); }},
      {"another origin", [](auto& a) { a.client["origin"] = "https://sign.example.org.evil.example"; }},
      {"another origin", [](auto& a) { a.client["origin"] = "http://sign.example.org"; }},
      {"another origin", [](auto& a) { a.client["origin"] = "https://sign.example.org:8443"; }},
      {"another origin", [](auto& a) { a.client.erase("origin"); }},
      {"inside a page of another origin", [](auto& a) { a.client["crossOrigin"] = true; }},
      {"inside a page of another origin", [](auto& a) { a.client["crossOrigin"] = "false"; }},
      {"below a page of another origin", [](auto& a) { a.client["topOrigin"] = origin; }},
      {"another relying party", [](auto& a) { a.rp = "example.org"; }},
      {"nobody was present", [](auto& a) { a.flags = uv; }},
      {"the person was not verified", [](auto& a) { a.flags = up; }},
      {"backed up, though it cannot be", [](auto& a) { a.flags = up | uv | bs; }},
      {"a credential where none belongs", [](auto& a) { a.flags = up | uv | at; }},
      {"extensions that are no map", [](auto& a) { a.flags = up | uv | ed; }},
      {"extensions that are no map",
       [](auto& a) {
         a.flags = up | uv | ed;
         a.after_key = cbor_text("text");
       }},
      {"bytes after the authenticator data", [](auto& a) { a.trailing = {0}; }},
      {"bytes after the authenticator data", [](auto& a) { a.after_key = cbor_map({}); }},
  };
  for (const auto& [why, change] : cases) {
    Authenticator device;
    const auto known = device.credential();
    change(device);
    expect_refused(verify_assertion(rules(), known, challenge, device.answer()), why);
  }
}

TEST(Webauthn, AnAssertionThatIsNotTheCredentialsOwnIsRefused) {
  const Authenticator device;
  const Authenticator other;
  auto answer = device.answer();
  answer.signature = other.answer().signature;
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "the signature does not verify");
  answer = device.answer();
  answer.credential_id.back() ^= 1U;
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "another credential");
  answer = device.answer();
  answer.client_data.push_back(' ');
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "the signature does not verify");
  answer = device.answer();
  answer.authenticator_data.resize(36);
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "ends too early");
  answer = device.answer();
  answer.client_data = to_bytes(R"({"type":"webauthn.get","type":"webauthn.get"})");
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "not JSON");
  answer.client_data = to_bytes("[]");
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "no object");
  answer.client_data = Bytes(5000, ' ');
  expect_refused(verify_assertion(rules(), device.credential(), challenge, answer), "not JSON");
  expect_refused(verify_assertion(rules(), device.credential(), {}, device.answer()), "another challenge");
}

TEST(Webauthn, AChangeOfTheBackupKindIsRefused) {
  Authenticator device;
  const auto known = device.credential();
  device.flags |= be;
  expect_refused(verify_assertion(rules(), known, challenge, device.answer()), "another kind of passkey");
}

TEST(Webauthn, ACounterThatDoesNotGrowIsTold) {
  const Authenticator device;
  auto known = device.credential();
  known.counter = device.counter;
  EXPECT_TRUE(verify_assertion(rules(), known, challenge, device.answer())->counter_regressed);
  known.counter = std::numeric_limits<std::uint32_t>::max();
  EXPECT_TRUE(verify_assertion(rules(), known, challenge, device.answer())->counter_regressed);
  Authenticator without;
  without.counter = 0;
  known = without.credential();
  known.counter = 0;
  EXPECT_FALSE(verify_assertion(rules(), known, challenge, without.answer())->counter_regressed);
}

TEST(Webauthn, ExtensionsAreReadOver) {
  Authenticator device;
  device.flags |= ed;
  device.after_key = cbor_map({cbor_text("credProtect"), cbor_number(2)});
  EXPECT_TRUE(verify_assertion(rules(), device.credential(), challenge, device.answer()));
}

// Registration.

struct AttestationCa {
  std::shared_ptr<crypto::SoftwareKey> key = *crypto::SoftwareKey::generate();
  std::shared_ptr<crypto::SoftwareKey> device_key = *crypto::SoftwareKey::generate();
  std::string unit = "Authenticator Attestation";
  bool is_ca = false, critical_model = false;
  Aaguid aaguid = model;

  static Bytes name(const std::string& common, const std::string& unit_name) {
    return *crypto::encode_name({{"2.5.4.6", "GR"}, {"2.5.4.10", "Test"}, {"2.5.4.11", unit_name}, {"2.5.4.3", common}});
  }
  static Bytes extension(std::string_view oid, bool critical, ByteView value) {
    return critical ? der::sequence({der::oid(oid), der::boolean(true), der::octet_string(value)})
                    : der::sequence({der::oid(oid), der::octet_string(value)});
  }
  [[nodiscard]] Bytes certificate(ByteView issuer, ByteView subject, const crypto::PublicKey& of, bool authority,
                                  const std::vector<Bytes>& more) const {
    auto extensions = more;
    extensions.push_back(
        extension("2.5.29.19", true, authority ? der::sequence({der::boolean(true)}) : der::sequence(std::vector<Bytes>())));
    const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
    const auto tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(authority ? 1 : 2), algorithm, issuer,
                                    der::sequence({der::time(now - std::chrono::hours(1)), der::time(now + std::chrono::hours(1))}),
                                    subject, of.spki(), der::explicit_tag(3, der::sequence(extensions))});
    return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *key->sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
  }
  [[nodiscard]] crypto::Certificate root() const {
    const auto own = name("Root", "CA");
    return *crypto::Certificate::parse_der(certificate(own, own, key->public_key(), true, {}));
  }
  [[nodiscard]] Bytes leaf() const {
    return certificate(name("Root", "CA"), name("Device", unit), device_key->public_key(), is_ca,
                       {extension("1.3.6.1.4.1.45724.1.1.4", critical_model, der::octet_string(aaguid))});
  }
};

struct Registering : Authenticator {
  std::string format = "none";
  Bytes statement = cbor_map({});
  Registering() {
    client["type"] = "webauthn.create";
    flags = up | uv | at;
  }
  [[nodiscard]] RegistrationResponse response() const {
    return {client_data(),
            cbor_map({cbor_text("fmt"), cbor_text(format), cbor_text("attStmt"), statement, cbor_text("authData"), cbor_bytes(data())})};
  }
  void attest_itself() {
    format = "packed";
    statement = cbor_map({cbor_text("alg"), cbor_number(-7), cbor_text("sig"), cbor_bytes(sign(*key, data(), client_data()))});
  }
  void attest_by(const AttestationCa& ca) {
    format = "packed";
    statement = cbor_map({cbor_text("alg"), cbor_number(-7), cbor_text("sig"), cbor_bytes(sign(*ca.device_key, data(), client_data())),
                          cbor_text("x5c"), cbor_array({cbor_bytes(ca.leaf())})});
  }
  void attest_as_u2f(const AttestationCa& ca) {
    aaguid = {};
    Bytes message{0x00};
    append(message, crypto::sha256(as_bytes(rp)));
    append(message, crypto::sha256(client_data()));
    append(message, id);
    append(message, *key->public_key().ec_point());
    format = "fido-u2f";
    statement = cbor_map({cbor_text("sig"), cbor_bytes(*ca.device_key->sign(crypto::SignatureSuite::ecdsa_sha256, message)),
                          cbor_text("x5c"), cbor_array({cbor_bytes(ca.leaf())})});
  }
};

TEST(Webauthn, ARegisteredCredentialIsKeptAsTheAuthenticatorSaidIt) {
  const Registering device;
  const auto taken = verify_registration(rules(), challenge, device.response(), now);
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(taken->attestation, Attestation::none);
  EXPECT_EQ(taken->credential.id, device.id);
  EXPECT_EQ(taken->credential.key.spki(), device.key->public_key().spki());
  EXPECT_EQ(taken->credential.model, model);
  EXPECT_EQ(taken->credential.counter, 7U);
  Authenticator same = device;
  same.client["type"] = "webauthn.get";
  same.flags = up | uv;
  same.counter = 8;
  EXPECT_TRUE(verify_assertion(rules(), taken->credential, challenge, same.answer()));
}

TEST(Webauthn, EachThingThatDiffersInARegistrationIsRefusedByItself) {
  struct Case {
    std::string why;
    std::function<void(Registering&)> change;
  };
  const std::vector<Case> cases = {
      {"another ceremony", [](auto& a) { a.client["type"] = "webauthn.get"; }},
      {"another challenge", [](auto& a) { a.client["challenge"] = "AAAA"; }},
      {"another relying party", [](auto& a) { a.rp = "example.org"; }},
      {"the person was not verified", [](auto& a) { a.flags = up | at; }},
      {"or none", [](auto& a) { a.flags = up | uv; }},
      {"a passkey that can be copied", [](auto& a) { a.flags |= be; }},
      {"a credential id of another length", [](auto& a) { a.id = Bytes(15, 1); }},
      {"a credential id of another length", [](auto& a) { a.id = Bytes(1024, 1); }},
      {"an algorithm that is not served", [](auto& a) { a.algorithm = -8; }},
      {"does not go with its algorithm", [](auto& a) { a.algorithm = -257; }},
      {"does not go with its algorithm", [](auto& a) { a.key_type = 1; }},
      {"does not go with its algorithm", [](auto& a) { a.curve = 2; }},
      {"coordinates of another length",
       [](auto& a) {
         a.algorithm = -35;
         a.curve = 2;
       }},
      {"a format that is not served", [](auto& a) { a.format = "tpm"; }},
      {"a format that is not served",
       [](auto& a) {
         a.statement = cbor_map({cbor_text("x"), cbor_number(1)});
       }},
      {"lacks a member",
       [](auto& a) {
         a.statement = {};
         a.format.clear();
       }},
      {"bytes after the authenticator data", [](auto& a) { a.trailing = {1}; }},
  };
  for (const auto& [why, change] : cases) {
    Registering device;
    change(device);
    auto response = device.response();
    if (why == "lacks a member") response.attestation_object = cbor_map({cbor_text("fmt"), cbor_text("none")});
    expect_refused(verify_registration(rules(), challenge, response, now), why);
  }
}

TEST(Webauthn, ABackupEligiblePasskeyNeedsAPolicyThatLetsItIn) {
  Registering device;
  device.flags |= be | bs;
  auto lenient = rules();
  lenient.allow_backup_eligible = true;
  const auto taken = verify_registration(lenient, challenge, device.response(), now);
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_TRUE(taken->credential.backup_eligible);
  EXPECT_TRUE(taken->backed_up);
}

TEST(Webauthn, ASelfAttestationIsVerifiedAndProvesNoModel) {
  Registering device;
  device.attest_itself();
  EXPECT_EQ(verify_registration(rules(), challenge, device.response(), now)->attestation, Attestation::self);
  auto strict = rules();
  strict.models = {model};
  expect_refused(verify_registration(strict, challenge, device.response(), now), "a model that the policy does not let in");
  const Registering other;
  device.statement = cbor_map({cbor_text("alg"), cbor_number(-7), cbor_text("sig"), cbor_bytes(other.answer().signature)});
  expect_refused(verify_registration(rules(), challenge, device.response(), now), "the self attestation does not verify");
  device.statement = cbor_map({cbor_text("alg"), cbor_number(-35), cbor_text("sig"), cbor_bytes(device.answer().signature)});
  expect_refused(verify_registration(rules(), challenge, device.response(), now), "a self attestation of another algorithm");
}

TEST(Webauthn, AModelIsBelievedOnlyWhenItsAttestationLeadsToARootOfThePolicy) {
  const AttestationCa ca;
  Registering device;
  device.attest_by(ca);
  auto strict = rules();
  strict.models = {model};
  strict.roots = {ca.root()};
  EXPECT_EQ(verify_registration(strict, challenge, device.response(), now)->attestation, Attestation::trusted);
  const AttestationCa stranger;
  strict.roots = {stranger.root()};
  expect_refused(verify_registration(strict, challenge, device.response(), now), "a model that the policy does not let in");
  EXPECT_EQ(verify_registration(rules(), challenge, device.response(), now)->attestation, Attestation::none);
  strict.roots = {ca.root()};
  strict.models = {Aaguid{9}};
  expect_refused(verify_registration(strict, challenge, device.response(), now), "a model that the policy does not let in");
  strict.models = {model};
  expect_refused(verify_registration(strict, challenge, device.response(), now + std::chrono::hours(48)), "a model that the policy");
}

TEST(Webauthn, AnAttestationCertificateIsOfItsKindAndModel) {
  const auto with = [](const std::function<void(AttestationCa&)>& change) {
    AttestationCa ca;
    change(ca);
    Registering device;
    device.attest_by(ca);
    return verify_registration(rules(), challenge, device.response(), now);
  };
  expect_refused(with([](auto& ca) { ca.unit = "Sales"; }), "not an attestation certificate");
  expect_refused(with([](auto& ca) { ca.is_ca = true; }), "not an attestation certificate");
  expect_refused(with([](auto& ca) { ca.aaguid = Aaguid{9}; }), "an attestation of another model");
  expect_refused(with([](auto& ca) { ca.critical_model = true; }), "an attestation of another model");
  const AttestationCa ca;
  Registering device;
  device.attest_by(ca);
  device.counter = 8;  // no longer what was attested
  expect_refused(verify_registration(rules(), challenge, device.response(), now), "the attestation does not verify");
}

TEST(Webauthn, AU2fAttestationIsVerified) {
  const AttestationCa ca;
  Registering device;
  device.attest_as_u2f(ca);
  auto trusting = rules();
  trusting.roots = {ca.root()};
  EXPECT_EQ(verify_registration(trusting, challenge, device.response(), now)->attestation, Attestation::trusted);
  auto changed = device;
  changed.id.back() ^= 1U;
  expect_refused(verify_registration(trusting, challenge, changed.response(), now), "the attestation does not verify");
  changed = device;
  changed.aaguid = model;
  expect_refused(verify_registration(trusting, challenge, changed.response(), now), "a U2F attestation that names a model");
}

TEST(Webauthn, TheVectorsOfTheSpecificationAreTakenOrRefusedForWhatTheySay) {
  const auto file = read_file(std::filesystem::path(INTAGLIO_SOURCE_DIR) / "tests/data/webauthn/vectors.json", 1 << 20);
  const auto vectors = *json::parse(as_text(*file), {.max_bytes = 1 << 20});
  const auto hex = [](const json::Value& object, const char* name) { return *parse_hex(object.at(name).get<std::string>()); };
  const Rules lenient{.rp_id = "example.org", .origins = {"https://example.org"}, .allow_backup_eligible = true, .models = {}, .roots = {}};
  const UnixTime at_that_time = from_unix_seconds(1'750'000'000);
  const auto registered = [&](const char* name) {
    const auto& vector = vectors.at(name);
    return verify_registration(lenient, hex(vector, "challenge"), {hex(vector, "clientDataJSON"), hex(vector, "attestationObject")},
                               at_that_time);
  };
  const auto asserted = [&](const char* name, const Credential& credential) {
    const auto& vector = vectors.at(name).at("authentication");
    return verify_assertion(lenient, credential, hex(vector, "challenge"),
                            {credential.id, hex(vector, "clientDataJSON"), hex(vector, "authenticatorData"), hex(vector, "signature")});
  };
  const auto packed = registered("packed.ES256");
  ASSERT_TRUE(packed) << packed.error().detail;
  const auto assertion = asserted("packed.ES256", packed->credential);
  EXPECT_TRUE(assertion) << assertion.error().detail;
  const auto self = registered("packed-self.ES256");
  ASSERT_TRUE(self) << self.error().detail;
  EXPECT_EQ(self->attestation, Attestation::self);
  // These authenticators did not verify the person, which we ask for.
  expect_refused(asserted("packed-self.ES256", self->credential), "the person was not verified");
  expect_refused(registered("none.ES256"), "the person was not verified");
  expect_refused(registered("none.ES256.crossOrigin"), "inside a page of another origin");
}

// CBOR.

TEST(Cbor, WhatWebauthnDoesNotUseIsRefused) {
  struct Case {
    const char* hex;
    const char* why;
  };
  // Bytes as RFC 8949 and its appendix A give them.
  const std::vector<Case> cases = {
      {"", "ends too early"},
      {"18", "ends too early"},
      {"4401020304ff", "bytes after the end"},
      {"44010203", "ends too early"},
      {"a4012063616263f4206161", "ends too early"},
      {"5f42010243030405ff", "of a kind"},              // byte string of indefinite length
      {"7f657374726561646d696e67ff", "of a kind"},      // text of indefinite length
      {"9fff", "of a kind"},                            // array of indefinite length
      {"bf61610161629f0203ffff", "of a kind"},          // map of indefinite length
      {"c074323031332d30332d32315432303a30343a30305a", "of a kind"},  // a tag
      {"f93c00", "of a kind"},                          // half precision
      {"fa47c35000", "of a kind"},
      {"fb3ff199999999999a", "of a kind"},
      {"f7", "of a kind"},                              // undefined
      {"1bffffffffffffffff", "of a kind"},              // beyond int64
      {"3bffffffffffffffff", "of a kind"},
      {"a201020103", "a member twice"},
      {"a2616101616102", "a member twice"},
      {"a1410102", "neither text nor number"},
      {"818181818181818181818101", "nested too deeply"},
      {"9b00000000ffffffff", "too many items"},
      {"bb00000000ffffffff", "too many items"},
      {"1c", "not well formed"},
  };
  for (const auto& [text, why] : cases) {
    const auto bytes = parse_hex(text);
    const auto parsed = cbor::parse(*bytes);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().detail.find(why), std::string::npos) << text << ": " << parsed.error().detail;
  }
}

TEST(Cbor, NumbersTextsAndMapsAreReadAsTheyStand) {
  const auto bytes = *parse_hex("a40139010063616263f52041ff1903e8820a0b");
  const auto map = *cbor::parse(bytes);
  EXPECT_EQ(*map.find(1)->as<std::int64_t>(), -257);
  EXPECT_TRUE(*map.find("abc")->as<bool>());
  EXPECT_EQ(to_bytes(*map.find(-1)->as<ByteView>()), Bytes{0xff});
  EXPECT_EQ(map.find(1000)->as<cbor::Array>()->size(), 2U);
  EXPECT_EQ(map.find(2), nullptr);
  EXPECT_EQ(map.find(1)->find("x"), nullptr);
}

}  // namespace
}  // namespace intaglio::evidence::webauthn
