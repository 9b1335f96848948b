#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "crypto/detail/key_wrap.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "crypto/test_support.h"
#include "json/json.h"

namespace intaglio::crypto {
namespace {

using testing::hex;
using testing::rfc7515_key;

// Made by the npm package jose 6 with the key of RFC 7515, A.3.
constexpr std::string_view foreign_jws =
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImludGFnbGlvLXNhZCtqd3QiLCJraWQiOiJzYWQtMSJ9.eyJzdWIiOiJhbGljZSJ9."
    "aMrvcG6Pjf84JWjMiJa95-tXz7z03-ckzstQLFgTTKbgHl1MU6_6Pe-oSGJ2QeA7rWrMoOBgkzTQv-C6JMtwJQ";
constexpr std::string_view foreign_jwe =
    "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJ0eXAiOiJpbnRhZ2xpby1zYXAtc2lnbitqd2UiLCJraWQiOiJzYXAtMSIsImVwayI6eyJ4IjoiUFVM"
    "MFNtQm1aazZBa1pldTNvTHNKOHJuNTd1VEZBbVpUMGlkTGFYeDZ2OCIsImNydiI6IlAtMjU2Iiwia3R5IjoiRUMiLCJ5Ijoid3ZYYnZ3QnZoNlJJMTlWcXJuc1FEQ1lrR1dM"
    "NlhPODdqT2xNM0xUeTRjOCJ9LCJhcHUiOiJNREV5TXpRMU5qYzRPV0ZpWTJSbFpnIiwiYXB2IjoiYzJGd0xURSJ9.j2oEbLi6qvN_JRP20GbtKn6ghXt-6M08Z-dFDGRzuld"
    "av691eDNZAg.Gq0IOIpJTMXJcO45.FkupqDzryXQ4MN5pJzcSoA.8UcBx0GRsvOlKtGYfiY9bg";
constexpr std::string_view sign_typ = "intaglio-sap-sign+jwe";

/// Counts what reaches the key, as a token would see it.
class CountingAgreement final : public KeyAgreement {
 public:
  explicit CountingAgreement(std::shared_ptr<SoftwareKey> key) : key_(std::move(key)) {}
  [[nodiscard]] const PublicKey& public_key() const noexcept override { return key_->public_key(); }
  [[nodiscard]] Result<Secret> agree(ByteView peer) const override {
    ++calls;
    if (broken) return Error{ErrorCode::token_unavailable, "broken"};
    return key_->agree(peer);
  }
  mutable int calls = 0;
  bool broken = false;

 private:
  std::shared_ptr<SoftwareKey> key_;
};

std::string with_header(std::string_view token, const json::Value& header) {
  return encode_base64url(as_bytes(json::encode(header))) + std::string(token.substr(token.find('.')));
}

json::Value header_of(std::string_view token) { return *json::parse(as_text(*parse_base64url(token.substr(0, token.find('.'))))); }

TEST(Jws, ReadsWhatAnotherLibraryMade) {
  EXPECT_EQ(*verify_jws(foreign_jws, "intaglio-sad+jwt", rfc7515_key()->public_key()), R"({"sub":"alice"})");
  EXPECT_EQ(peek_jws_header(foreign_jws)->kid, "sad-1");
}

TEST(Jws, ReadsItsOwn) {
  const auto key = *SoftwareKey::generate();
  const auto token = make_jws(*key, "a+jwt", "k", R"({"n":1})");
  ASSERT_TRUE(token);
  EXPECT_EQ(*verify_jws(*token, "a+jwt", key->public_key()), R"({"n":1})");
}

TEST(Jws, RefusesAnotherTypeKeyOrContent) {
  const auto key = *SoftwareKey::generate();
  const std::string token = *make_jws(*key, "a+jwt", "k", R"({"n":1})");
  EXPECT_FALSE(verify_jws(token, "b+jwt", key->public_key()));
  EXPECT_FALSE(verify_jws(token, "a+jwt", rfc7515_key()->public_key()));
  for (std::size_t at = 0; at < token.size(); ++at) {
    std::string changed = token;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify_jws(changed, "a+jwt", key->public_key())) << at;
  }
  EXPECT_FALSE(verify_jws(token + ".", "a+jwt", key->public_key()));
  EXPECT_FALSE(verify_jws("", "a+jwt", key->public_key()));
  EXPECT_FALSE(verify_jws(std::string(65537, 'A'), "a+jwt", key->public_key()));
}

/// Signs whatever header it is given, correctly: only the check of the header can refuse it.
std::string signed_with_header(const SoftwareKey& key, const json::Value& header) {
  std::string token = encode_base64url(as_bytes(json::encode(header))) + ".e30";
  const Bytes raw = *ecdsa_to_raw(*key.sign(SignatureSuite::ecdsa_sha256, as_bytes(token)), 32);
  return token + "." + encode_base64url(raw);
}

TEST(Jws, RefusesCorrectlySignedHeadersThatSayAnythingElse) {
  const auto key = *SoftwareKey::generate();
  const json::Value good{{"alg", "ES256"}, {"typ", "a+jwt"}, {"kid", "k"}};
  EXPECT_TRUE(verify_jws(signed_with_header(*key, good), "a+jwt", key->public_key()));
  const json::Value more{{"crit", {"b64"}},    {"b64", false},  {"jwk", {{"kty", "EC"}}}, {"jku", "https://x"},
                         {"x5u", "https://x"}, {"x5c", {"AA"}}, {"zip", "DEF"},           {"cty", "x"}};
  for (const auto& [name, value] : more.items()) {
    json::Value header = good;
    header[name] = value;
    EXPECT_FALSE(verify_jws(signed_with_header(*key, header), "a+jwt", key->public_key())) << name;
  }
  for (const char* alg : {"none", "HS256", "ES384", "es256", ""}) {
    json::Value header = good;
    header["alg"] = alg;
    EXPECT_FALSE(verify_jws(signed_with_header(*key, header), "a+jwt", key->public_key())) << alg;
  }
  EXPECT_FALSE(verify_jws(signed_with_header(*key, {{"alg", "ES256"}}), "a+jwt", key->public_key()));
  EXPECT_FALSE(verify_jws(signed_with_header(*key, {{"alg", "ES256"}, {"typ", nullptr}}), "", key->public_key()));
}

TEST(Jws, OfTheSameHeaderIsReadTheSameAndOfAnotherAnew) {
  const auto of = [](const json::Value& header) { return encode_base64url(as_bytes(json::encode(header))) + ".e30.AA"; };
  const json::Value first{{"alg", "ES256"}, {"typ", "a+jwt"}, {"kid", "k"}};
  const json::Value second{{"alg", "ES256"}, {"typ", "b+jwt"}, {"kid", "k"}};
  const json::Value refused{{"alg", "ES256"}, {"typ", "a+jwt"}, {"kid", "k"}, {"crit", {"b64"}}};
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(peek_jws_header(of(first))->typ, "a+jwt");
    EXPECT_EQ(peek_jws_header(of(first))->typ, "a+jwt");
    EXPECT_FALSE(peek_jws_header(of(refused)));
    EXPECT_FALSE(peek_jws_header(of(refused)));
    EXPECT_EQ(peek_jws_header(of(second))->typ, "b+jwt");
    EXPECT_EQ(peek_jws_header(of(second))->kid, "k");
    EXPECT_FALSE(peek_jws_header(".e30.AA"));
  }
}

TEST(Jwk, IsThatOfRfc7517AndHashesAsRfc7638Says) {
  const std::string_view rfc7517 =
      R"({"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"})";
  EXPECT_EQ(
      *encode_jwk(*parse_jwk(rfc7517)),
      R"({"crv":"P-256","kty":"EC","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})");
  // RFC 9449, 6.1.
  const std::string_view dpop =
      R"({"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"})";
  EXPECT_EQ(*jwk_thumbprint(*parse_jwk(dpop)), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

TEST(Jwk, IsRefusedWhenPrivateOffItsCurveShortOrOfAnotherKind) {
  const json::Value good = *json::parse(*encode_jwk(rfc7515_key()->public_key()));
  ASSERT_TRUE(parse_jwk(json::encode(good)));
  const auto changed = [&](const char* name, const json::Value& value) {
    json::Value jwk = good;
    jwk[name] = value;
    return json::encode(jwk);
  };
  EXPECT_FALSE(parse_jwk(changed("d", "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")));
  EXPECT_FALSE(parse_jwk(changed("x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEQ")));
  EXPECT_FALSE(parse_jwk(changed("x", "AA")));
  EXPECT_FALSE(parse_jwk(changed("crv", "P-384")));
  EXPECT_FALSE(parse_jwk(changed("kty", "oct")));
  EXPECT_FALSE(parse_jwk("[]"));
  EXPECT_FALSE(parse_jwk(""));
}

TEST(ConcatKdf, AgreesWithRfc7518AppendixC) {
  const auto alice = testing::key_of_jwk("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo", "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
                                         "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps");
  const auto bob = testing::key_of_jwk("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw", "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
                                       "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck");
  const auto shared = alice->agree(*bob->public_key().ec_point());
  ASSERT_TRUE(shared);
  EXPECT_EQ(encode_hex(shared->reveal()), "9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4");
  const auto derived = detail::concat_kdf(*shared, "A128GCM", as_bytes("Alice"), as_bytes("Bob"), 16);
  EXPECT_EQ(encode_base64url(derived->reveal()), "VqqN6vgjbSBcIijNcacQGg");
}

TEST(KeyWrap, AgreesWithRfc3394) {
  const Secret wrapping(hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"));
  const Secret key(hex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"));
  const Bytes wrapped = *detail::wrap_key(wrapping, key);
  EXPECT_EQ(encode_hex(wrapped), "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");
  const auto unwrapped = detail::unwrap_key(wrapping, wrapped);
  EXPECT_TRUE(same_secret(unwrapped->reveal(), key.reveal()));
  for (std::size_t at = 0; at < wrapped.size(); ++at) {
    Bytes changed = wrapped;
    changed[at] ^= 0x80U;
    EXPECT_EQ(detail::unwrap_key(wrapping, changed).error().code, ErrorCode::invalid_request);
  }
  EXPECT_FALSE(detail::unwrap_key(wrapping, ByteView(wrapped).first(16)));
  EXPECT_FALSE(detail::unwrap_key(wrapping, ByteView(wrapped).first(39)));
}

TEST(Jwe, OpensWhatAnotherLibraryMade) {
  const auto opened = open_jwe(*rfc7515_key(), sign_typ, foreign_jwe);
  ASSERT_TRUE(opened);
  EXPECT_EQ(as_text(opened->reveal()), R"({"pin":"123456"})");
  const auto header = peek_jwe_header(foreign_jwe);
  EXPECT_EQ(header->kid, "sap-1");
  EXPECT_EQ(as_text(header->apu), "0123456789abcdef");
  EXPECT_EQ(as_text(header->apv), "sap-1");
}

RC_GTEST_PROP(Jwe, OpensItsOwn, (const Bytes& plaintext, const Bytes& apu)) {
  RC_PRE(apu.size() <= 256);
  const auto key = rfc7515_key();
  const auto token = make_jwe(key->public_key(), {std::string(sign_typ), "k", apu, {}}, plaintext);
  RC_ASSERT(bool(token));
  RC_ASSERT(peek_jwe_header(*token)->apu == apu);
  const auto opened = open_jwe(*key, sign_typ, *token);
  RC_ASSERT(bool(opened));
  RC_ASSERT(same_secret(opened->reveal(), plaintext));
}

TEST(Jwe, RefusesAnotherTypeAndAnotherKey) {
  EXPECT_EQ(open_jwe(*rfc7515_key(), "intaglio-sap-enrol+jwe", foreign_jwe).error().code, ErrorCode::invalid_request);
  EXPECT_EQ(open_jwe(**SoftwareKey::generate(), sign_typ, foreign_jwe).error().code, ErrorCode::invalid_request);
}

TEST(Jwe, RefusesAChangeOfAnyCharacter) {
  const auto key = rfc7515_key();
  for (std::size_t at = 0; at < foreign_jwe.size(); ++at) {
    std::string changed(foreign_jwe);
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    const auto opened = open_jwe(*key, sign_typ, changed);
    ASSERT_FALSE(opened) << at;
    EXPECT_EQ(opened.error().code, ErrorCode::invalid_request) << at;
  }
}

TEST(Jwe, RefusesAnyOtherAlgorithmOrMemberBeforeTheKeyIsUsed) {
  const CountingAgreement key(rfc7515_key());
  const json::Value good = header_of(foreign_jwe);
  const auto refused = [&](const char* name, const json::Value& value) {
    json::Value header = good;
    header[name] = value;
    const auto opened = open_jwe(key, sign_typ, with_header(foreign_jwe, header));
    return !opened && opened.error().code == ErrorCode::invalid_request && key.calls == 0;
  };
  for (const char* alg : {"ECDH-ES", "ECDH-ES+A128KW", "dir", "RSA-OAEP", "none"}) EXPECT_TRUE(refused("alg", alg)) << alg;
  for (const char* enc : {"A128GCM", "A256CBC-HS512", ""}) EXPECT_TRUE(refused("enc", enc)) << enc;
  EXPECT_TRUE(refused("zip", "DEF"));
  EXPECT_TRUE(refused("crit", json::Value::array({"exp"})));
  EXPECT_TRUE(refused("jku", "https://x"));
  EXPECT_TRUE(refused("typ", nullptr));
  EXPECT_TRUE(refused("apu", std::string(400, 'A')));
  EXPECT_TRUE(refused("epk", nullptr));
  EXPECT_TRUE(refused("epk", "text"));
  EXPECT_TRUE(refused("kid", std::string(5000, 'k')));
}

TEST(Jwe, RefusesAnEphemeralKeyThatIsNotOnTheCurveBeforeTheKeyIsUsed) {
  const CountingAgreement key(rfc7515_key());
  json::Value header = header_of(foreign_jwe);
  header["epk"]["y"] = header["epk"]["x"];
  EXPECT_EQ(open_jwe(key, sign_typ, with_header(foreign_jwe, header)).error().code, ErrorCode::invalid_request);
  header["epk"]["x"] = header["epk"]["y"] = encode_base64url(Bytes(32));
  EXPECT_EQ(open_jwe(key, sign_typ, with_header(foreign_jwe, header)).error().code, ErrorCode::invalid_request);
  EXPECT_EQ(key.calls, 0);
}

TEST(Jwe, BindsTheNonceAndTheKeyIdThroughTheKeyDerivation) {
  // Same everything but apu: the wrapped key no longer opens, whatever the tag would say.
  const CountingAgreement key(rfc7515_key());
  json::Value header = header_of(foreign_jwe);
  header["apu"] = encode_base64url(as_bytes("0123456789abcdeF"));
  EXPECT_FALSE(open_jwe(key, sign_typ, with_header(foreign_jwe, header)));
  EXPECT_EQ(key.calls, 1);
}

TEST(Jwe, PassesOnAFailureOfTheKeyItself) {
  CountingAgreement key(rfc7515_key());
  key.broken = true;
  EXPECT_EQ(open_jwe(key, sign_typ, foreign_jwe).error().code, ErrorCode::token_unavailable);
}

TEST(Jwe, RefusesMoreThan64KiBEitherWay) {
  const auto key = rfc7515_key();
  EXPECT_EQ(open_jwe(*key, sign_typ, std::string(65537, 'A')).error().code, ErrorCode::invalid_request);
  EXPECT_FALSE(make_jwe(key->public_key(), {std::string(sign_typ), "k", {}, {}}, Bytes(60000)));
}

}  // namespace
}  // namespace intaglio::crypto
