#include "crypto/public_key.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "crypto/der.h"
#include "crypto/detail/openssl.h"
#include "crypto/test_support.h"

namespace intaglio::crypto {
namespace {

constexpr std::array all_suites{SignatureSuite::rsa_pss_sha256,   SignatureSuite::rsa_pss_sha384,   SignatureSuite::rsa_pss_sha512,
                                SignatureSuite::rsa_pkcs1_sha256, SignatureSuite::rsa_pkcs1_sha384, SignatureSuite::rsa_pkcs1_sha512,
                                SignatureSuite::ecdsa_sha256,     SignatureSuite::ecdsa_sha384,     SignatureSuite::ecdsa_sha512};

detail::KeyHandle rsa_key(unsigned bits) { return detail::KeyHandle(EVP_RSA_gen(bits)); }
detail::KeyHandle ec_key(const char* curve) { return detail::KeyHandle(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)); }

Bytes spki_of(EVP_PKEY* key) {
  unsigned char* buffer = nullptr;
  const int length = i2d_PUBKEY(key, &buffer);
  return detail::take(buffer, length);
}

Bytes sign_with(EVP_PKEY* key, SignatureSuite suite, ByteView digest, int salt = RSA_PSS_SALTLEN_DIGEST) {
  const detail::KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  EXPECT_EQ(EVP_PKEY_sign_init(context.get()), 1);
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    EXPECT_TRUE(detail::set_rsa_suite(context.get(), suite));
    if (detail::is_pss(suite)) {
      EXPECT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), salt), 1);
    }
  }
  Bytes signature(1024);
  std::size_t length = signature.size();
  EXPECT_EQ(EVP_PKEY_sign(context.get(), signature.data(), &length, digest.data(), digest.size()), 1);
  signature.resize(length);
  return signature;
}

TEST(Algorithms, HaveNamesAndNumbersThatReadBack) {
  for (const auto suite : all_suites) {
    EXPECT_EQ(*parse_suite(name_of(suite)), suite);
    EXPECT_EQ(*suite_from_number(static_cast<std::uint64_t>(suite)), suite);
  }
  for (const auto hash : {HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512})
    EXPECT_EQ(*parse_hash_oid(oid_of(hash)), hash);
  for (unsigned key = 1; key <= 6; ++key) EXPECT_EQ(*parse_key_algorithm(name_of(KeyAlgorithm(key))), KeyAlgorithm(key));
  EXPECT_FALSE(parse_hash_oid("1.3.14.3.2.26"));
  EXPECT_FALSE(parse_suite("rsa-pss-sha1"));
  EXPECT_FALSE(suite_from_number(0));
  EXPECT_FALSE(suite_from_number(10));
}

TEST(Algorithms, FitOnlyTheirOwnKindAndNoHashLongerThanTheCurve) {
  EXPECT_TRUE(fits(KeyAlgorithm::rsa2048, SignatureSuite::rsa_pkcs1_sha512));
  EXPECT_FALSE(fits(KeyAlgorithm::rsa2048, SignatureSuite::ecdsa_sha256));
  EXPECT_FALSE(fits(KeyAlgorithm::p256, SignatureSuite::rsa_pss_sha256));
  EXPECT_TRUE(fits(KeyAlgorithm::p256, SignatureSuite::ecdsa_sha256));
  EXPECT_FALSE(fits(KeyAlgorithm::p256, SignatureSuite::ecdsa_sha384));
  EXPECT_FALSE(fits(KeyAlgorithm::p384, SignatureSuite::ecdsa_sha512));
  EXPECT_TRUE(fits(KeyAlgorithm::p521, SignatureSuite::ecdsa_sha512));
}

TEST(PublicKey, VerifiesEachSuiteThatFitsAndNoOther) {
  const std::array keys{rsa_key(2048), ec_key("P-256"), ec_key("P-384"), ec_key("P-521")};
  for (const auto& key : keys) {
    const auto parsed = PublicKey::parse_spki(spki_of(key.get()));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->spki(), spki_of(key.get()));
    for (const auto suite : all_suites) {
      const Bytes hashed = digest(hash_of(suite), as_bytes("message"));
      if (!fits(parsed->algorithm(), suite)) {
        EXPECT_FALSE(parsed->verify_digest(suite, hashed, Bytes(64)));
        continue;
      }
      Bytes signature = sign_with(key.get(), suite, hashed);
      EXPECT_TRUE(parsed->verify_digest(suite, hashed, signature)) << name_of(suite);
      EXPECT_TRUE(parsed->verify(suite, as_bytes("message"), signature));
      EXPECT_FALSE(parsed->verify(suite, as_bytes("massage"), signature));
      EXPECT_FALSE(parsed->verify_digest(suite, ByteView(hashed).first(hashed.size() - 1), signature));
      signature.back() ^= 1U;
      EXPECT_EQ(parsed->verify_digest(suite, hashed, signature).error().code, ErrorCode::invalid_request);
    }
  }
}

TEST(PublicKey, RefusesASuiteThatDoesNotFitEvenWhenTheSignatureIsMathematicallyRight) {
  const auto key = ec_key("P-256");
  const Bytes hashed = digest(HashAlgorithm::sha512, as_bytes("message"));
  const Bytes signature = sign_with(key.get(), SignatureSuite::ecdsa_sha512, hashed);
  EXPECT_FALSE(PublicKey::parse_spki(spki_of(key.get()))->verify_digest(SignatureSuite::ecdsa_sha512, hashed, signature));
}

TEST(PublicKey, RefusesPssWithASaltOfAnotherLength) {
  const auto key = rsa_key(2048);
  const Bytes hashed = digest(HashAlgorithm::sha256, as_bytes("message"));
  const Bytes signature = sign_with(key.get(), SignatureSuite::rsa_pss_sha256, hashed, 20);
  EXPECT_FALSE(PublicKey::parse_spki(spki_of(key.get()))->verify_digest(SignatureSuite::rsa_pss_sha256, hashed, signature));
}

TEST(PublicKey, VerifiesTheExampleOfRfc7515) {
  const auto key = testing::rfc7515_key();
  const std::string_view input =
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  const auto signature =
      ecdsa_to_der(*parse_base64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
  EXPECT_TRUE(key->public_key().verify(SignatureSuite::ecdsa_sha256, as_bytes(input), *signature));
}

TEST(PublicKey, RefusesAPointOffItsCurveAndOtherForms) {
  const auto key = PublicKey::parse_spki(spki_of(ec_key("P-256").get()));
  Bytes point = *key->ec_point();
  EXPECT_EQ(PublicKey::from_ec_point(KeyAlgorithm::p256, point)->spki(), key->spki());
  EXPECT_FALSE(PublicKey::from_ec_point(KeyAlgorithm::p384, point));
  EXPECT_FALSE(PublicKey::from_ec_point(KeyAlgorithm::rsa2048, point));
  EXPECT_FALSE(PublicKey::from_ec_point(KeyAlgorithm::p256, Bytes{0x00}));
  EXPECT_FALSE(PublicKey::from_ec_point(KeyAlgorithm::p256, ByteView(point).first(33)));
  Bytes off = key->spki();
  off.back() ^= 1U;
  EXPECT_FALSE(PublicKey::parse_spki(off));
  point.back() ^= 1U;
  EXPECT_FALSE(PublicKey::from_ec_point(KeyAlgorithm::p256, point));
  Bytes trailing = key->spki();
  trailing.push_back(0);
  EXPECT_FALSE(PublicKey::parse_spki(trailing));
  EXPECT_FALSE(PublicKey::parse_spki({}));
}

TEST(PublicKey, RefusesOtherAlgorithmsCurvesAndSizes) {
  EXPECT_FALSE(PublicKey::parse_spki(spki_of(ec_key("secp256k1").get())));
  EXPECT_FALSE(PublicKey::parse_spki(spki_of(ec_key("brainpoolP256r1").get())));
  EXPECT_FALSE(PublicKey::parse_spki(spki_of(rsa_key(1024).get())));
  const detail::KeyHandle ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_FALSE(PublicKey::parse_spki(spki_of(ed25519.get())));
}

TEST(PublicKey, RefusesRsaWithABadExponentOrModulus) {
  const auto key = rsa_key(2048);
  BIGNUM* modulus = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(key.get(), "n", &modulus), 1);
  Bytes n(256);
  BN_bn2bin(modulus, n.data());
  BN_free(modulus);
  const Bytes good{1, 0, 1};
  EXPECT_TRUE(PublicKey::from_rsa(n, good));
  EXPECT_FALSE(PublicKey::from_rsa(n, Bytes{3}));
  EXPECT_FALSE(PublicKey::from_rsa(n, Bytes{0xFF, 0xFF}));
  EXPECT_FALSE(PublicKey::from_rsa(n, Bytes{1, 0, 2}));
  EXPECT_FALSE(PublicKey::from_rsa(n, Bytes(9, 0xFF)));
  EXPECT_FALSE(PublicKey::from_rsa(ByteView(n).first(255), good));
  n.back() ^= 1U;
  EXPECT_FALSE(PublicKey::from_rsa(n, good));
}

TEST(EcdsaSignature, IsConvertedBothWaysWithLeadingZerosAndHighBits) {
  Bytes raw(64, 0);
  raw[31] = 1;
  raw[32] = 0x80;
  const auto der = ecdsa_to_der(raw);
  EXPECT_EQ(encode_hex(*der), "302602010102210080" + std::string(62, '0'));
  EXPECT_EQ(*ecdsa_to_raw(*der, 32), raw);
  EXPECT_FALSE(ecdsa_to_raw(*der, 31));
  EXPECT_FALSE(ecdsa_to_der(Bytes(63)));
  EXPECT_FALSE(ecdsa_to_der({}));
  EXPECT_FALSE(ecdsa_to_raw(testing::hex("3006020101020101"
                                         "00"),
                            32));
  EXPECT_FALSE(ecdsa_to_raw(testing::hex("30060201ff020101"), 32));
}

RC_GTEST_PROP(EcdsaSignature, RoundTrips, ()) {
  const auto raw = *rc::gen::container<Bytes>(96, rc::gen::arbitrary<std::uint8_t>());
  RC_ASSERT(*ecdsa_to_raw(*ecdsa_to_der(raw), 48) == raw);
}

TEST(SoftwareKey, SignsAgreesAndReadsItsOwnPem) {
  const auto key = *SoftwareKey::generate();
  const auto again = *SoftwareKey::parse_pem(*key->encode_pem());
  EXPECT_EQ(again->public_key().spki(), key->public_key().spki());
  const auto signature = again->sign(SignatureSuite::ecdsa_sha256, as_bytes("message"));
  EXPECT_TRUE(key->public_key().verify(SignatureSuite::ecdsa_sha256, as_bytes("message"), *signature));
  EXPECT_FALSE(key->sign_digest(SignatureSuite::ecdsa_sha256, Bytes(31)));
  EXPECT_FALSE(key->sign_digest(SignatureSuite::rsa_pss_sha256, Bytes(32)));
  const auto other = *SoftwareKey::generate();
  const auto left = key->agree(*other->public_key().ec_point());
  const auto right = other->agree(*key->public_key().ec_point());
  EXPECT_TRUE(same_secret(left->reveal(), right->reveal()));
}

TEST(SoftwareKey, RefusesPemOfOtherKeysAndNoise) {
  const auto p384 = ec_key("P-384");
  const detail::BioHandle output(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(output.get(), p384.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
  char* text = nullptr;
  const auto length = static_cast<std::size_t>(BIO_get_mem_data(output.get(), &text));
  EXPECT_FALSE(SoftwareKey::parse_pem(Secret(as_bytes(std::string_view(text, length)))));
  EXPECT_FALSE(SoftwareKey::parse_pem(Secret(as_bytes("noise"))));
  EXPECT_FALSE(SoftwareKey::parse_pem(Secret()));
}

TEST(Der, WritesWhatX690Writes) {
  using namespace der;
  EXPECT_EQ(encode_hex(integer(0)), "020100");
  EXPECT_EQ(encode_hex(integer(127)), "02017f");
  EXPECT_EQ(encode_hex(integer(128)), "02020080");
  EXPECT_EQ(encode_hex(integer(ByteView(Bytes{0, 0, 1}))), "020101");
  EXPECT_EQ(encode_hex(oid("2.5.4.3")), "0603550403");
  EXPECT_EQ(encode_hex(oid("1.2.840.113549.1.1.11")), "06092a864886f70d01010b");
  EXPECT_EQ(encode_hex(oid("2.999.1")), "0603883701");
  EXPECT_EQ(encode_hex(boolean(true)), "0101ff");
  EXPECT_EQ(encode_hex(bit_string(Bytes{0x40}, 6)), "03020640");
  EXPECT_EQ(encode_hex(enumerated(200)), "0a0200c8");
  EXPECT_EQ(encode_hex(octet_string(Bytes(200))).substr(0, 6), "0481c8");
  EXPECT_EQ(encode_hex(octet_string(Bytes(300))).substr(0, 8), "0482012c");
  EXPECT_EQ(encode_hex(set_of({Bytes{2, 1, 2}, Bytes{2, 1, 1}})), "3106020101020102");
  EXPECT_EQ(encode_hex(implicit_tag(1, sequence({null()}))), "a1020500");
  EXPECT_EQ(encode_hex(implicit_tag(1, octet_string(Bytes{7}))), "810107");
  EXPECT_EQ(encode_hex(explicit_tag(0, integer(2))), "a003020102");
  EXPECT_EQ(as_text(ByteView(time(from_unix_seconds(1795171020))).subspan(2)), "261120103700Z");
  EXPECT_EQ(as_text(ByteView(time(from_unix_seconds(2524608000))).subspan(2)), "20500101000000Z");
  EXPECT_EQ(as_text(ByteView(generalized_time(from_unix_seconds(1795171020))).subspan(2)), "20261120103700Z");
}

}  // namespace
}  // namespace intaglio::crypto
