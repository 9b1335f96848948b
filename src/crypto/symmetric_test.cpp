#include "crypto/symmetric.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <thread>

#include "crypto/random.h"
#include "crypto/test_support.h"

namespace intaglio::crypto {
namespace {

using testing::hex;

TEST(Digest, AgreesWithFips180) {
  EXPECT_EQ(encode_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(encode_hex(digest(HashAlgorithm::sha384, as_bytes("abc"))),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(
      encode_hex(digest(HashAlgorithm::sha512, as_bytes("abc"))),
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(encode_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, OfPiecesIsTheDigestOfTheWhole) {
  Hasher hasher(HashAlgorithm::sha512);
  hasher.update(as_bytes("a")).update({}).update(as_bytes("bc"));
  EXPECT_EQ(hasher.finish(), digest(HashAlgorithm::sha512, as_bytes("abc")));
}

/// Hashes when its thread ends.
struct HashingAtTheEnd {
  Sha256Digest* digest = nullptr;
  ~HashingAtTheEnd() {
    if (digest != nullptr) *digest = sha256(as_bytes("abc"));
  }
};

TEST(Digest, IsServedToDestructorsAtTheEndOfAThread) {
  Sha256Digest last{};
  std::thread([&] {
    thread_local HashingAtTheEnd made_before_the_first_digest;
    made_before_the_first_digest.digest = &last;
    (void)sha256({});
  }).join();
  EXPECT_EQ(last, sha256(as_bytes("abc")));
}

TEST(Hmac, AgreesWithRfc4231) {
  EXPECT_EQ(encode_hex(hmac_sha256(Bytes(20, 0x0b), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(encode_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(encode_hex(hmac_sha256(Bytes(131, 0xaa), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, TakesAnEmptyKey) {
  EXPECT_EQ(encode_hex(hmac_sha256({}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Hkdf, AgreesWithRfc5869) {
  const Secret first = hkdf_sha256(Bytes(22, 0x0b), hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42);
  EXPECT_EQ(encode_hex(first.reveal()), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  const Secret third = hkdf_sha256(Bytes(22, 0x0b), {}, {}, 42);
  EXPECT_EQ(encode_hex(third.reveal()), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

RC_GTEST_PROP(Hmac, AgreesWithOpensslWhateverTheLengths, (const Bytes& key, const Bytes& data)) {
  const Bytes long_key(key.size() * 7, 0x5a);
  for (const Bytes& used : {key, long_key}) {
    Sha256Digest expected{};
    std::size_t written = 0;
    const std::uint8_t none = 0;
    RC_ASSERT(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, used.empty() ? &none : used.data(), used.size(), data.data(),
                        data.size(), expected.data(), expected.size(), &written) != nullptr);
    RC_ASSERT(hmac_sha256(used, data) == expected);
  }
}

RC_GTEST_PROP(Hkdf, AgreesWithOpensslWhateverTheLengths, (const Bytes& salt, const Bytes& info)) {
  const auto length = *rc::gen::inRange<std::size_t>(1, 300);
  const Bytes key(*rc::gen::inRange<std::size_t>(1, 200), 0x0b);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr),
                                                                            &EVP_PKEY_CTX_free);
  Bytes expected(length);
  std::size_t written = length;
  RC_ASSERT(EVP_PKEY_derive_init(context.get()) == 1 && EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) == 1);
  RC_ASSERT(EVP_PKEY_CTX_set1_hkdf_key(context.get(), key.data(), static_cast<int>(key.size())) == 1);
  if (!salt.empty()) RC_ASSERT(EVP_PKEY_CTX_set1_hkdf_salt(context.get(), salt.data(), static_cast<int>(salt.size())) == 1);
  if (!info.empty()) RC_ASSERT(EVP_PKEY_CTX_add1_hkdf_info(context.get(), info.data(), static_cast<int>(info.size())) == 1);
  RC_ASSERT(EVP_PKEY_derive(context.get(), expected.data(), &written) == 1);
  const Secret derived = hkdf_sha256(key, salt, info, length);
  RC_ASSERT(to_bytes(derived.reveal()) == expected);
}

TEST(Gcm, OpensTheVectorsOfNistAndOfTheSpecification) {
  // CAVP gcmDecrypt256, [PTlen = 0], [AADlen = 0], Count = 0.
  const auto empty = gcm_open(hex("f5a2b27c74355872eb3ef6c5feafaa740e6ae990d9d48c3bd9bb8235e589f010"),
                              hex("58d2240f580a31c1d24948e915e051a5e4a5f5da6cea92e2ebee5bac"), {});
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->empty());
  // McGrew and Viega, test case 16.
  const auto opened =
      gcm_open(hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
               hex("cafebabefacedbaddecaf888522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568288"
                   "38c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"),
               hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
  ASSERT_TRUE(opened);
  EXPECT_EQ(encode_hex(opened->reveal()),
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
}

RC_GTEST_PROP(Gcm, OpensWhatItSealedAndNothingThatDiffersInOneBit, (const Bytes& plaintext, const Bytes& associated, std::uint32_t where)) {
  const Bytes key(32, 7);
  auto sealed = gcm_seal(key, plaintext, associated);
  RC_ASSERT(bool(sealed));
  const auto opened = gcm_open(key, *sealed, associated);
  RC_ASSERT(bool(opened));
  RC_ASSERT(same_secret(opened->reveal(), plaintext));
  (*sealed)[where / 8 % sealed->size()] ^= static_cast<std::uint8_t>(1U << where % 8);
  RC_ASSERT(gcm_open(key, *sealed, associated).error().code == ErrorCode::invalid_request);
}

TEST(Gcm, RefusesOtherAssociatedDataAnotherKeyAndTruncation) {
  const Bytes key(32, 7);
  const auto sealed = *gcm_seal(key, as_bytes("secret"), as_bytes("purpose a"));
  EXPECT_FALSE(gcm_open(key, sealed, as_bytes("purpose b")));
  EXPECT_FALSE(gcm_open(Bytes(32, 8), sealed, as_bytes("purpose a")));
  for (std::size_t length = 0; length < sealed.size(); ++length) {
    EXPECT_FALSE(gcm_open(key, ByteView(sealed).first(length), as_bytes("purpose a")));
  }
  EXPECT_FALSE(gcm_seal(Bytes(16, 7), {}, {}));
}

TEST(Gcm, NeverUsesANonceTwice) {
  const Bytes key(32, 7);
  EXPECT_NE(*gcm_seal(key, as_bytes("same"), {}), *gcm_seal(key, as_bytes("same"), {}));
}

TEST(Random, GivesDifferentBytesOfTheLengthAsked) {
  const auto first = random_bytes(32);
  const auto second = random_bytes(32);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->size(), 32U);
  EXPECT_NE(*first, *second);
  EXPECT_EQ(random_id()->size(), 22U);
  EXPECT_NE(*random_id(), *random_id());
  EXPECT_EQ(random_secret(20)->size(), 20U);
}

TEST(Ctr, AgreesWithSp80038aF55) {
  const auto key = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const auto counter = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  const auto plaintext = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411");
  const auto hidden = aes256_ctr(key, counter, plaintext);
  ASSERT_TRUE(hidden);
  EXPECT_EQ(encode_hex(hidden->reveal()), "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94c");
  const auto back = aes256_ctr(key, counter, hidden->reveal());
  ASSERT_TRUE(back);
  EXPECT_EQ(to_bytes(back->reveal()), plaintext);
}

TEST(Ctr, RefusesAKeyOrACounterOfAnotherLength) {
  const Bytes right_key(32), counter(16);
  EXPECT_TRUE(aes256_ctr(right_key, counter, {}));
  EXPECT_FALSE(aes256_ctr(Bytes(16), counter, counter));
  EXPECT_FALSE(aes256_ctr(right_key, Bytes(12), counter));
}

}  // namespace
}  // namespace intaglio::crypto
