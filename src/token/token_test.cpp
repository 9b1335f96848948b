#include "token/token.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "token/detail/key_profile.h"
#include "token/detail/test_support.h"
#include "token/softhsm.h"

namespace intaglio::token {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::code_of;
using testing::count_of;
using testing::fresh_id;
using testing::open_token;
using testing::raw_module;
using testing::RawSession;
using testing::sample_digest;

constexpr std::array all_suites = {SignatureSuite::rsa_pss_sha256,   SignatureSuite::rsa_pss_sha384,   SignatureSuite::rsa_pss_sha512,
                                   SignatureSuite::rsa_pkcs1_sha256, SignatureSuite::rsa_pkcs1_sha384, SignatureSuite::rsa_pkcs1_sha512,
                                   SignatureSuite::ecdsa_sha256,     SignatureSuite::ecdsa_sha384,     SignatureSuite::ecdsa_sha512};

TEST(TokenOpen, RefusesALabelThatNoTokenCarries) { EXPECT_EQ(code_of(Token::open(testing::config_of("nobody"))), ErrorCode::not_found); }

TEST(TokenOpen, RefusesAModuleThatIsNotThere) {
  auto config = testing::config_of();
  config.module = "/nonexistent/module.so";
  EXPECT_EQ(code_of(Token::open(config)), ErrorCode::configuration);
}

TEST(TokenOpen, RefusesAPinFileThatOthersMayRead) {
  auto config = testing::config_of();
  config.pin_file = testing::place().root / "open-pin";
  ASSERT_TRUE(write_file_durably(config.pin_file, as_bytes("1234"), 0644));
  EXPECT_EQ(code_of(Token::open(config)), ErrorCode::configuration);
}

TEST(TokenOpen, RefusesAWrongPinAfterOneTry) {
  auto config = testing::config_of();
  config.pin_file = testing::place().root / "wrong-pin";
  ASSERT_TRUE(write_file_durably(config.pin_file, as_bytes("not the PIN"), 0600));
  const auto refused = Token::open(config);
  EXPECT_EQ(code_of(refused), ErrorCode::configuration);
  EXPECT_NE(refused.error().detail.find("CKR_PIN_INCORRECT"), std::string::npos);
}

TEST(TokenInitialise, RefusesALabelThatExists) {
  const testing::Victim victim;
  const Secret pin(as_bytes("12345678"));
  EXPECT_EQ(code_of(initialise_token(testing::module_path(), "victim", pin, pin)), ErrorCode::conflict);
  EXPECT_TRUE(initialise_token(testing::module_path(), "second", pin, pin));
  EXPECT_TRUE(Token::open(victim.config()));
}

TEST(Token, SaysWhatItIs) { EXPECT_NE(open_token()->description().find("SoftHSM"), std::string::npos); }

class SignerKeyOf : public ::testing::TestWithParam<KeyAlgorithm> {};

TEST_P(SignerKeyOf, SignsWithEverySuiteThatFitsIt) {
  const auto token = open_token();
  const auto key = token->generate_signer_key(GetParam(), fresh_id(), "signer");
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ(key->public_key().algorithm(), GetParam());
  for (const auto suite : all_suites) {
    if (!crypto::fits(GetParam(), suite)) continue;
    const auto digest = sample_digest(crypto::digest_length(crypto::hash_of(suite)));
    const auto outcome = token->sign_for_activation(*key, suite, digest);
    ASSERT_TRUE(outcome.signature) << outcome.refusal->error.detail;
    EXPECT_TRUE(key->public_key().verify_digest(suite, digest, *outcome.signature)) << crypto::name_of(suite);
  }
  EXPECT_TRUE(token->destroy(*key));
  EXPECT_EQ(code_of(token->find_signer_key(key->id())), ErrorCode::not_found);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, SignerKeyOf,
                         ::testing::Values(KeyAlgorithm::rsa2048, KeyAlgorithm::p256, KeyAlgorithm::p384, KeyAlgorithm::p521),
                         [](const auto& given) { return std::string(crypto::name_of(given.param)); });

/// One token and one P-256 signer's key for the tests that need no more.
class SignerOnToken : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    token = open_token();
    key.emplace(*token->generate_signer_key(KeyAlgorithm::p256, fresh_id(), "shared"));
  }
  static void TearDownTestSuite() {
    key.reset();
    token.reset();
  }
  static SignOutcome sign() { return token->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, sample_digest(32)); }
  static std::shared_ptr<Token> token;
  static std::optional<SignerKey> key;
};
std::shared_ptr<Token> SignerOnToken::token;
std::optional<SignerKey> SignerOnToken::key;

TEST_F(SignerOnToken, IsFoundAgainByItsIdWithTheSamePublicKey) {
  const auto found = token->find_signer_key(key->id());
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->public_key().spki(), key->public_key().spki());
}

TEST_F(SignerOnToken, RefusesADigestOfAnotherLengthAndTheTokenIsNotAsked) {
  const auto before = count_of(*token, "C_SignInit", "");
  const auto outcome = token->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, sample_digest(20));
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::digest_length);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(count_of(*token, "C_SignInit", ""), before);
}

TEST_F(SignerOnToken, RefusesASuiteOfAnotherKindOfKeyAndTheTokenIsNotAsked) {
  const auto before = count_of(*token, "C_SignInit", "");
  const auto outcome = token->sign_for_activation(*key, SignatureSuite::rsa_pss_sha256, sample_digest(32));
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::algorithm_refused);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(count_of(*token, "C_SignInit", ""), before);
}

TEST_F(SignerOnToken, IsNeverFoundAsAServiceKey) {
  EXPECT_EQ(code_of(token->find_service_key(KeyPurpose::service_signature, key->id())), ErrorCode::not_found);
  EXPECT_EQ(code_of(token->find_service_key(KeyPurpose::signer, key->id())), ErrorCode::invalid_request);
}

TEST_F(SignerOnToken, KeepsItsIdForItself) {
  EXPECT_EQ(code_of(token->generate_signer_key(KeyAlgorithm::p256, key->id(), "again")), ErrorCode::conflict);
}

TEST_F(SignerOnToken, CountsItsSignaturesAndLeavesTheObjectsAsTheyWere) {
  const auto objects = token->object_count();
  const auto signatures = token->signer_signatures();
  const auto calls = count_of(*token, "C_Sign", "CKR_OK");
  for (int round = 0; round < 1000; ++round) ASSERT_TRUE(sign().signature);
  EXPECT_EQ(token->signer_signatures(), signatures + 1000);
  EXPECT_EQ(count_of(*token, "C_Sign", "CKR_OK"), calls + 1000);
  EXPECT_EQ(*token->object_count(), *objects);
}

TEST(PrivateKey, IsNeitherReadNorWrappedNorMadeExtractable) {
  const auto token = open_token();
  const auto key = token->generate_signer_key(KeyAlgorithm::rsa2048, fresh_id(), "closed");
  ASSERT_TRUE(key);
  const RawSession session;
  const auto object = testing::raw_find(session.handle(), CKO_PRIVATE_KEY, key->id());
  ASSERT_NE(object, CK_INVALID_HANDLE);

  Bytes value(1024);
  for (const CK_ATTRIBUTE_TYPE part : {CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2}) {
    CK_ATTRIBUTE wanted{part, value.data(), static_cast<CK_ULONG>(value.size())};
    EXPECT_EQ(raw_module().C_GetAttributeValue(session.handle(), object, &wanted, 1), CKR_ATTRIBUTE_SENSITIVE);
  }

  detail::Template wrapping;
  wrapping.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .number(CKA_VALUE_LEN, 32)
      .flag(CKA_TOKEN, false)
      .flag(CKA_WRAP, true);
  CK_MECHANISM generation{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE wrapping_key = CK_INVALID_HANDLE;
  ASSERT_EQ(raw_module().C_GenerateKey(session.handle(), &generation, wrapping.data(), wrapping.size(), &wrapping_key), CKR_OK);
  CK_MECHANISM key_wrap{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
  CK_ULONG length = value.size();
  EXPECT_EQ(raw_module().C_WrapKey(session.handle(), &key_wrap, wrapping_key, object, value.data(), &length), CKR_KEY_UNEXTRACTABLE);

  for (const auto& [type, wish] : {std::pair(CKA_EXTRACTABLE, true), std::pair(CKA_SENSITIVE, false), std::pair(CKA_DECRYPT, true)}) {
    detail::Template change;
    change.flag(type, wish);
    EXPECT_NE(raw_module().C_SetAttributeValue(session.handle(), object, change.data(), change.size()), CKR_OK);
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    EXPECT_NE(raw_module().C_CopyObject(session.handle(), object, change.data(), change.size(), &copy), CKR_OK);
  }
}

/// A P-256 pair made behind the token's back, as its own keys are but for what `change` does.
void plant(const RawSession& session, ByteView id, const std::function<void(detail::Template&)>& change) {
  const auto profile = detail::profile_of(KeyPurpose::signer, KeyAlgorithm::p256);
  auto own = detail::key_template(profile, id, "planted", true);
  change(own);
  auto other = detail::public_template(profile, KeyAlgorithm::p256, id, "planted", true);
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
  ASSERT_EQ(raw_module().C_GenerateKeyPair(session.handle(), &mechanism, other.data(), other.size(), own.data(), own.size(), &public_key,
                                           &private_key),
            CKR_OK);
}

TEST(PlantedKey, IsRefusedForEachAttributeThatIsNotAsStated) {
  const auto token = open_token();
  const RawSession session;
  for (const auto& wrong : {std::pair(CKA_EXTRACTABLE, true), std::pair(CKA_SENSITIVE, false), std::pair(CKA_MODIFIABLE, true),
                            std::pair(CKA_COPYABLE, true), std::pair(CKA_DECRYPT, true), std::pair(CKA_DERIVE, true),
                            std::pair(CKA_UNWRAP, true), std::pair(CKA_SIGN_RECOVER, true), std::pair(CKA_WRAP_WITH_TRUSTED, true)}) {
    const auto id = fresh_id();
    plant(session, id, [&](detail::Template& own) { own.drop(wrong.first).flag(wrong.first, wrong.second); });
    const auto found = token->find_signer_key(id);
    ASSERT_FALSE(found) << wrong.first;
    EXPECT_EQ(code_of(found), ErrorCode::token_unavailable);
  }
}

TEST(PlantedKey, IsRefusedWhenItAllowsMoreMechanisms) {
  const auto token = open_token();
  const RawSession session;
  const auto id = fresh_id();
  plant(session, id, [](detail::Template& own) {
    own.drop(CKA_ALLOWED_MECHANISMS).mechanisms(CKA_ALLOWED_MECHANISMS, {CKM_ECDSA, CKM_ECDH1_DERIVE});
  });
  EXPECT_EQ(code_of(token->find_signer_key(id)), ErrorCode::token_unavailable);
}

TEST(PlantedKey, MakesItsIdAmbiguous) {
  const auto token = open_token();
  const RawSession session;
  const auto id = fresh_id();
  ASSERT_TRUE(token->generate_signer_key(KeyAlgorithm::p256, id, "first"));
  plant(session, id, [](detail::Template&) {});
  EXPECT_EQ(code_of(token->find_signer_key(id)), ErrorCode::conflict);
}

TEST(PlantedKey, OfAServiceMakesItsIdAmbiguousAsWell) {
  const auto token = open_token();
  const RawSession session;
  const auto id = fresh_id();
  const auto profile = detail::profile_of(KeyPurpose::hmac);
  for (int twice = 0; twice < 2; ++twice) {
    auto own = detail::key_template(profile, id, "planted", true);
    CK_MECHANISM mechanism{profile.generation, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ASSERT_EQ(raw_module().C_GenerateKey(session.handle(), &mechanism, own.data(), own.size(), &key), CKR_OK);
  }
  EXPECT_EQ(code_of(token->find_service_key(KeyPurpose::hmac, id)), ErrorCode::conflict);
}

TEST(ReadBack, RefusesAKeyOfAnotherType) {
  const auto token = open_token();
  const auto key = token->generate_service_key(KeyPurpose::hmac, fresh_id(), "other type");
  ASSERT_TRUE(key);
  const RawSession session;
  detail::CallCounters counters;
  const detail::ObjectView view{raw_module(), counters, session.handle(), testing::raw_find(session.handle(), CKO_SECRET_KEY, key->id()),
                                detail::ObjectKind::none};
  auto profile = detail::profile_of(KeyPurpose::hmac);
  EXPECT_TRUE(detail::verify_attributes(view, profile, true));
  profile.key_type = CKK_AES;
  EXPECT_EQ(code_of(detail::verify_attributes(view, profile, true)), ErrorCode::token_unavailable);
}

TEST(ServiceKey, OfEachPurposeDoesThatAndNothingElse) {
  const auto token = open_token();
  const auto signature = token->generate_service_key(KeyPurpose::service_signature, fresh_id(), "sad");
  const auto hmac = token->generate_service_key(KeyPurpose::hmac, fresh_id(), "pepper");
  const auto sealing = token->generate_service_key(KeyPurpose::data_encryption, fresh_id(), "sealing");
  const auto agreement = token->generate_service_key(KeyPurpose::key_agreement, fresh_id(), "sap");
  ASSERT_TRUE(signature);
  ASSERT_TRUE(hmac);
  ASSERT_TRUE(sealing);
  ASSERT_TRUE(agreement);
  const auto digest = sample_digest(32);
  EXPECT_TRUE(token->sign(*signature, SignatureSuite::ecdsa_sha256, digest));
  EXPECT_TRUE(token->hmac(*hmac, digest));
  EXPECT_TRUE(token->encrypt(*sealing, digest, {}));

  EXPECT_EQ(code_of(token->sign(*agreement, SignatureSuite::ecdsa_sha256, digest)), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(token->hmac(*sealing, digest)), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(token->encrypt(*hmac, digest, {})), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(token->derive(*signature, *token->public_key_of(*agreement)->ec_point())), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(token->public_key_of(*hmac)), ErrorCode::invalid_request);

  for (const auto& key : {*signature, *hmac, *sealing, *agreement}) EXPECT_TRUE(token->destroy(key));
  EXPECT_EQ(code_of(token->hmac(*hmac, digest)), ErrorCode::not_found);
}

TEST(ServiceKey, SignsThroughASignerThatVerifies) {
  const auto token = open_token();
  const auto key = token->generate_service_key(KeyPurpose::service_signature, fresh_id(), "checkpoint");
  ASSERT_TRUE(key);
  const auto signer = make_signer(token, *key);
  ASSERT_TRUE(signer);
  const auto digest = sample_digest(32);
  const auto signature = (*signer)->sign_digest(SignatureSuite::ecdsa_sha256, digest);
  ASSERT_TRUE(signature) << signature.error().detail;
  EXPECT_TRUE((*signer)->public_key().verify_digest(SignatureSuite::ecdsa_sha256, digest, *signature));
}

TEST(ServiceKey, GivesTheSameMacForTheSameDataAlone) {
  const auto token = open_token();
  const auto key = token->generate_service_key(KeyPurpose::hmac, fresh_id(), "mac");
  ASSERT_TRUE(key);
  const auto one = token->hmac(*key, as_bytes("one"));
  const auto again = token->hmac(*key, as_bytes("one"));
  const auto two = token->hmac(*key, as_bytes("two"));
  ASSERT_TRUE(one && again && two);
  EXPECT_EQ(one->size(), 32U);
  EXPECT_TRUE(same_secret(one->reveal(), again->reveal()));
  EXPECT_FALSE(same_secret(one->reveal(), two->reveal()));
}

TEST(ServiceKey, OpensWhatItSealedAndNothingThatWasChanged) {
  const auto token = open_token();
  const auto key = token->generate_service_key(KeyPurpose::data_encryption, fresh_id(), "seal");
  ASSERT_TRUE(key);
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{32}, std::size_t{5000}}) {
    const auto plaintext = sample_digest(length);
    auto sealed = token->encrypt(*key, plaintext, as_bytes("table|1"));
    ASSERT_TRUE(sealed) << sealed.error().detail;
    ASSERT_EQ(sealed->size(), length + 28);
    const auto opened = token->decrypt(*key, *sealed, as_bytes("table|1"));
    ASSERT_TRUE(opened) << opened.error().detail;
    EXPECT_TRUE(same_secret(opened->reveal(), plaintext));
    EXPECT_EQ(code_of(token->decrypt(*key, *sealed, as_bytes("table|2"))), ErrorCode::invalid_request);
    sealed->back() ^= 0x01;
    EXPECT_EQ(code_of(token->decrypt(*key, *sealed, as_bytes("table|1"))), ErrorCode::invalid_request);
  }
  EXPECT_EQ(code_of(token->decrypt(*key, sample_digest(27), {})), ErrorCode::invalid_request);
}

TEST(ServiceKey, AgreesOnTheSameSecretFromBothSidesAndLeavesNoObject) {
  const auto token = open_token();
  const auto left = token->generate_service_key(KeyPurpose::key_agreement, fresh_id(), "left");
  const auto right = token->generate_service_key(KeyPurpose::key_agreement, fresh_id(), "right");
  ASSERT_TRUE(left && right);
  const auto agreement = make_key_agreement(token, *left);
  ASSERT_TRUE(agreement);
  const auto one = (*agreement)->agree(*token->public_key_of(*right)->ec_point());
  const auto other = token->derive(*right, *(*agreement)->public_key().ec_point());
  ASSERT_TRUE(one) << one.error().detail;
  ASSERT_TRUE(other) << other.error().detail;
  EXPECT_EQ(one->size(), 32U);
  EXPECT_TRUE(same_secret(one->reveal(), other->reveal()));
  EXPECT_EQ(count_of(*token, "C_DestroyObject", "CKR_OK"), count_of(*token, "C_DeriveKey", "CKR_OK"));
}

TEST(ServiceKey, RefusesAPointOffTheCurveBeforeTheTokenSeesIt) {
  const auto token = open_token();
  const auto key = token->generate_service_key(KeyPurpose::key_agreement, fresh_id(), "curve");
  ASSERT_TRUE(key);
  auto point = *token->public_key_of(*key)->ec_point();
  point.back() ^= 0x01;
  EXPECT_EQ(code_of(token->derive(*key, point)), ErrorCode::invalid_request);
  EXPECT_EQ(count_of(*token, "C_DeriveKey", ""), 0U);
}

TEST(Random, GivesAsManyBytesAsAskedAndOthersEachTime) {
  const auto token = open_token();
  const auto one = token->random(32);
  const auto two = token->random(32);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->size(), 32U);
  EXPECT_NE(*one, *two);
  EXPECT_TRUE(token->random(0));
  EXPECT_EQ(code_of(token->random(std::size_t{1} << 21U)), ErrorCode::too_large);
}

TEST(Probe, FindsThatSoftHsmDoesWhatItMustAndRefusesWhatItMust) {
  const auto token = open_token();
  const auto objects = token->object_count();
  const auto lines = probe(*token, true);
  ASSERT_TRUE(lines) << lines.error().detail;
  std::size_t negative = 0;
  for (const auto& line : *lines) {
    EXPECT_TRUE(line.passed) << line.name << ": " << line.detail;
    negative += line.negative ? 1U : 0U;
  }
  EXPECT_GE(negative, 25U);
  EXPECT_EQ(*token->object_count(), *objects);
}

}  // namespace
}  // namespace intaglio::token
