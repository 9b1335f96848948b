#include "token/wrapping.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "token/detail/key_profile.h"
#include "token/detail/test_support.h"
#include "token/detail/wrapping_session.h"

namespace intaglio::token {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::code_of;
using testing::count_of;
using testing::fresh_id;
using testing::raw_find;
using testing::raw_module;
using testing::RawSession;
using testing::sample_digest;

crypto::SignatureSuite suite_of(KeyAlgorithm algorithm) {
  return crypto::is_rsa(algorithm) ? SignatureSuite::rsa_pss_sha256 : SignatureSuite::ecdsa_sha256;
}

WrappedKey copy_of(const WrappedKey& wrapped) { return {wrapped.key, wrapped.keypass.clone()}; }

class WrappingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    token = testing::open_token();
    smkw.emplace(*token->generate_service_key(KeyPurpose::key_wrapping, fresh_id(), "smkw"));
    smke.emplace(*token->generate_service_key(KeyPurpose::data_encryption, fresh_id(), "smke"));
    wrapping = *KeyWrapping::open(token, *smkw);
    p256.emplace(*wrapping->generate(KeyAlgorithm::p256));
    // The known-answer check keeps a probe key of its own: made now, so that counts do not meet it.
    ASSERT_TRUE(token->check_health());
  }
  static void TearDownTestSuite() {
    p256.reset();
    wrapping.reset();
    smke.reset();
    smkw.reset();
    token.reset();
  }
  static std::size_t session_objects() { return *wrapping->session_object_count(); }

  static std::shared_ptr<Token> token;
  static std::optional<ServiceKey> smkw, smke;
  static std::unique_ptr<KeyWrapping> wrapping;
  static std::optional<GeneratedKey> p256;
};
std::shared_ptr<Token> WrappingTest::token;
std::optional<ServiceKey> WrappingTest::smkw, WrappingTest::smke;
std::unique_ptr<KeyWrapping> WrappingTest::wrapping;
std::optional<GeneratedKey> WrappingTest::p256;

TEST_F(WrappingTest, GivesAKeyThatIsUnwrappedAndSigns) {
  for (const auto algorithm : {KeyAlgorithm::rsa3072, KeyAlgorithm::p256, KeyAlgorithm::p384}) {
    const auto before = session_objects();
    const auto made = wrapping->generate(algorithm);
    ASSERT_TRUE(made) << made.error().detail;
    EXPECT_EQ(made->wrapped.keypass.size(), wrapped_keypass_length);
    EXPECT_EQ(session_objects(), before);
    {
      const auto activated = wrapping->activate(made->public_key, made->wrapped);
      ASSERT_TRUE(activated) << activated.error().detail;
      EXPECT_EQ(session_objects(), before + 1) << "the key alone: its keypass is gone";
      const auto suite = algorithm == KeyAlgorithm::p384 ? SignatureSuite::ecdsa_sha384 : suite_of(algorithm);
      const auto digest = sample_digest(crypto::digest_length(crypto::hash_of(suite)));
      for (int twice = 0; twice < 2; ++twice) {
        const auto outcome = token->sign_for_activation(activated->key(), suite, digest);
        ASSERT_TRUE(outcome.signature) << outcome.refusal->error.detail;
        EXPECT_TRUE(made->public_key.verify_digest(suite, digest, *outcome.signature));
      }
    }
    EXPECT_EQ(session_objects(), before);
  }
}

TEST_F(WrappingTest, GivesAKeyThatSignsNothingOnceItsActivationEnded) {
  std::optional<SignerKey> left_over;
  {
    const auto activated = wrapping->activate(p256->public_key, p256->wrapped);
    ASSERT_TRUE(activated);
    left_over = activated->key();
  }
  const auto before = token->signer_signatures();
  const auto outcome = token->sign_for_activation(*left_over, SignatureSuite::ecdsa_sha256, sample_digest(32));
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::not_found);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(token->signer_signatures(), before);
}

TEST_F(WrappingTest, RefusesAMasterKeyOfAnotherPurpose) { EXPECT_EQ(code_of(KeyWrapping::open(token, *smke)), ErrorCode::invalid_request); }

TEST_F(WrappingTest, RefusesAKeypassThatDiffersInAnyBitAsAWrongSecret) {
  for (std::size_t at = 0; at < wrapped_keypass_length; at += 3) {
    auto wrong = copy_of(p256->wrapped);
    wrong.keypass.writable()[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    EXPECT_EQ(code_of(wrapping->activate(p256->public_key, wrong)), ErrorCode::authentication_failed) << at;
    EXPECT_EQ(code_of(wrapping->rewrap(p256->public_key, wrong)), ErrorCode::authentication_failed) << at;
  }
}

TEST_F(WrappingTest, RefusesAWrappedKeyThatDiffersInAnyBitAsADamagedRecord) {
  for (std::size_t at = 0; at < p256->wrapped.key.size(); at += 5) {
    auto wrong = copy_of(p256->wrapped);
    wrong.key[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    EXPECT_EQ(code_of(wrapping->activate(p256->public_key, wrong)), ErrorCode::storage_unavailable) << at;
  }
}

TEST_F(WrappingTest, DoesNotOpenTheKeyOfOneSignerWithTheKeypassOfAnother) {
  const auto other = wrapping->generate(KeyAlgorithm::p256);
  ASSERT_TRUE(other);
  const WrappedKey mixed{other->wrapped.key, p256->wrapped.keypass.clone()};
  EXPECT_EQ(code_of(wrapping->activate(other->public_key, mixed)), ErrorCode::storage_unavailable);
}

TEST_F(WrappingTest, RefusesAKeyThatIsNotTheOneOfTheRecord) {
  const auto one = wrapping->generate(KeyAlgorithm::rsa2048);
  const auto two = wrapping->generate(KeyAlgorithm::rsa2048);
  const auto p384 = wrapping->generate(KeyAlgorithm::p384);
  ASSERT_TRUE(one && two && p384);
  const auto before = session_objects();
  EXPECT_EQ(code_of(wrapping->activate(two->public_key, one->wrapped)), ErrorCode::storage_unavailable);
  EXPECT_EQ(code_of(wrapping->activate(p256->public_key, p384->wrapped)), ErrorCode::storage_unavailable);
  EXPECT_EQ(code_of(wrapping->activate(p256->public_key, one->wrapped)), ErrorCode::storage_unavailable);
  EXPECT_EQ(session_objects(), before);
}

TEST_F(WrappingTest, MovesAKeyToANewKeypassAndNeitherOldNorNewPartsMix) {
  const auto moved = wrapping->rewrap(p256->public_key, p256->wrapped);
  ASSERT_TRUE(moved) << moved.error().detail;
  const auto activated = wrapping->activate(p256->public_key, *moved);
  ASSERT_TRUE(activated) << activated.error().detail;
  const auto digest = sample_digest(32);
  const auto outcome = token->sign_for_activation(activated->key(), SignatureSuite::ecdsa_sha256, digest);
  ASSERT_TRUE(outcome.signature);
  EXPECT_TRUE(p256->public_key.verify_digest(SignatureSuite::ecdsa_sha256, digest, *outcome.signature));
  const WrappedKey old_key{p256->wrapped.key, moved->keypass.clone()};
  const WrappedKey old_keypass{moved->key, p256->wrapped.keypass.clone()};
  EXPECT_EQ(code_of(wrapping->activate(p256->public_key, old_key)), ErrorCode::storage_unavailable);
  EXPECT_EQ(code_of(wrapping->activate(p256->public_key, old_keypass)), ErrorCode::storage_unavailable);
}

/// What another program with this login gets from the token.
class MasterKeys : public WrappingTest {
 protected:
  [[nodiscard]] CK_OBJECT_HANDLE wrapping_key() const { return raw_find(raw.handle(), CKO_SECRET_KEY, smkw->id()); }
  [[nodiscard]] CK_OBJECT_HANDLE encryption_key() const { return raw_find(raw.handle(), CKO_SECRET_KEY, smke->id()); }
  [[nodiscard]] CK_RV read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
    Bytes value(4096);
    CK_ATTRIBUTE wanted{type, value.data(), static_cast<CK_ULONG>(value.size())};
    return raw_module().C_GetAttributeValue(raw.handle(), object, &wanted, 1);
  }
  [[nodiscard]] CK_RV wrap(CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type = CKM_AES_KEY_WRAP_PAD) const {
    CK_MECHANISM mechanism{type, nullptr, 0};
    Bytes out(4096);
    CK_ULONG length = out.size();
    return raw_module().C_WrapKey(raw.handle(), &mechanism, by, key, out.data(), &length);
  }
  [[nodiscard]] CK_RV begin_ecb(CK_OBJECT_HANDLE key, bool decrypt) const {
    CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
    return decrypt ? raw_module().C_DecryptInit(raw.handle(), &mechanism, key) : raw_module().C_EncryptInit(raw.handle(), &mechanism, key);
  }
  /// A session key made by the program itself.
  [[nodiscard]] CK_OBJECT_HANDLE own_key(CK_ULONG length) const {
    detail::Template attributes;
    attributes.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).number(CKA_VALUE_LEN, length).flag(CKA_TOKEN, false);
    attributes.flag(CKA_EXTRACTABLE, true).flag(CKA_WRAP, true).flag(CKA_UNWRAP, true);
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    EXPECT_EQ(raw_module().C_GenerateKey(raw.handle(), &mechanism, attributes.data(), attributes.size(), &key), CKR_OK);
    return key;
  }
  /// The session object of this class that is there now and is none of the known-answer check.
  [[nodiscard]] std::vector<CK_OBJECT_HANDLE> session_objects_of(CK_OBJECT_CLASS object_class) const {
    detail::Template wanted;
    wanted.number(CKA_CLASS, object_class).flag(CKA_TOKEN, false);
    std::vector<CK_OBJECT_HANDLE> found(64);
    CK_ULONG count = 0;
    raw_module().C_FindObjectsInit(raw.handle(), wanted.data(), wanted.size());
    raw_module().C_FindObjects(raw.handle(), found.data(), found.size(), &count);
    raw_module().C_FindObjectsFinal(raw.handle());
    found.resize(count);
    return found;
  }
  const RawSession raw;
};

TEST_F(MasterKeys, AreNotRead) {
  EXPECT_EQ(read(wrapping_key(), CKA_VALUE), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(read(encryption_key(), CKA_VALUE), CKR_ATTRIBUTE_SENSITIVE);
}

TEST_F(MasterKeys, DoNotWrapEachOtherNorAreTheyWrappedByAKeyOfTheAttacker) {
  const auto own = own_key(32);
  EXPECT_EQ(wrap(wrapping_key(), encryption_key()), CKR_KEY_UNEXTRACTABLE);
  EXPECT_EQ(wrap(wrapping_key(), wrapping_key()), CKR_KEY_UNEXTRACTABLE);
  EXPECT_EQ(wrap(own, wrapping_key()), CKR_KEY_UNEXTRACTABLE);
  EXPECT_EQ(wrap(own, encryption_key()), CKR_KEY_UNEXTRACTABLE);
  EXPECT_NE(wrap(encryption_key(), own), CKR_OK) << "the encrypting key wraps nothing";
}

TEST_F(MasterKeys, DoNoEcbWhichWouldUndoAKeyWrapOutsideTheToken) {
  for (const auto key : {wrapping_key(), encryption_key()}) {
    EXPECT_NE(begin_ecb(key, /*decrypt=*/false), CKR_OK);
    EXPECT_NE(begin_ecb(key, /*decrypt=*/true), CKR_OK);
  }
}

TEST_F(MasterKeys, DoNothingBesideTheirOneMechanism) {
  const auto own = own_key(32);
  EXPECT_NE(wrap(wrapping_key(), own, CKM_AES_KEY_WRAP), CKR_OK);
  EXPECT_EQ(wrap(wrapping_key(), own), CKR_OK);
  CK_GCM_PARAMS parameters{};
  Bytes nonce(12);
  parameters.iv_ptr = nonce.data();
  parameters.iv_len = nonce.size();
  parameters.iv_bits = 96;
  parameters.tag_bits = 128;
  CK_MECHANISM gcm{CKM_AES_GCM, &parameters, sizeof parameters};
  EXPECT_NE(raw_module().C_EncryptInit(raw.handle(), &gcm, wrapping_key()), CKR_OK);
  EXPECT_NE(raw_module().C_DecryptInit(raw.handle(), &gcm, wrapping_key()), CKR_OK);
}

TEST_F(MasterKeys, AreNeitherChangedNorCopied) {
  for (const auto key : {wrapping_key(), encryption_key()}) {
    for (const auto& [type, wish] : {std::pair(CKA_EXTRACTABLE, true), std::pair(CKA_SENSITIVE, false), std::pair(CKA_DECRYPT, true),
                                     std::pair(CKA_WRAP, true), std::pair(CKA_MODIFIABLE, true)}) {
      detail::Template change;
      change.flag(type, wish);
      EXPECT_NE(raw_module().C_SetAttributeValue(raw.handle(), key, change.data(), change.size()), CKR_OK);
      CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
      EXPECT_NE(raw_module().C_CopyObject(raw.handle(), key, change.data(), change.size(), &copy), CKR_OK);
    }
  }
}

TEST_F(MasterKeys, ThatMayDoMoreAreRefused) {
  for (const auto wrong : {CKA_ENCRYPT, CKA_DECRYPT, CKA_EXTRACTABLE, CKA_COPYABLE, CKA_MODIFIABLE}) {
    const auto id = fresh_id();
    auto own = detail::key_template(detail::profile_of(KeyPurpose::key_wrapping), id, "planted", true);
    own.drop(wrong).flag(wrong, true);
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ASSERT_EQ(raw_module().C_GenerateKey(raw.handle(), &mechanism, own.data(), own.size(), &key), CKR_OK);
    EXPECT_EQ(code_of(token->find_service_key(KeyPurpose::key_wrapping, id)), ErrorCode::token_unavailable) << wrong;
  }
}

TEST_F(MasterKeys, LetTheActivatedKeyBeNeitherReadNorWrappedNorOpenedNorCopied) {
  const auto known = session_objects_of(CKO_PRIVATE_KEY);
  const auto made = wrapping->generate(KeyAlgorithm::rsa2048);
  ASSERT_TRUE(made);
  const auto activated = wrapping->activate(made->public_key, made->wrapped);
  ASSERT_TRUE(activated);
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  for (const auto object : session_objects_of(CKO_PRIVATE_KEY)) {
    if (std::find(known.begin(), known.end(), object) == known.end()) key = object;
  }
  ASSERT_NE(key, CK_INVALID_HANDLE);
  EXPECT_EQ(read(key, CKA_PRIVATE_EXPONENT), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(read(key, CKA_PRIME_1), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(wrap(wrapping_key(), key), CKR_KEY_UNEXTRACTABLE);
  EXPECT_EQ(wrap(own_key(32), key), CKR_KEY_UNEXTRACTABLE);
  for (const auto& [type, wish] : {std::pair(CKA_EXTRACTABLE, true), std::pair(CKA_SENSITIVE, false)}) {
    detail::Template change;
    change.flag(type, wish);
    EXPECT_NE(raw_module().C_SetAttributeValue(raw.handle(), key, change.data(), change.size()), CKR_OK);
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    EXPECT_NE(raw_module().C_CopyObject(raw.handle(), key, change.data(), change.size(), &copy), CKR_OK);
  }
  EXPECT_EQ(read(key, CKA_PRIVATE_EXPONENT), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(wrap(own_key(32), key), CKR_KEY_UNEXTRACTABLE);
}

/// The session objects of wrapped custody as they are between two calls, which no other program meets in time.
class SessionKeys : public MasterKeys {
 protected:
  SessionKeys() : connection(detail::Connection::open(testing::config_of())) {}
  Result<std::unique_ptr<detail::Connection>> connection;
};

TEST_F(SessionKeys, LetAKeypassBeNeitherReadNorWrappedOnceItIsOpened) {
  ASSERT_TRUE(connection);
  auto lease = (*connection)->lease();
  ASSERT_TRUE(lease);
  detail::WrappingSession session(**connection, *lease);
  detail::SessionObject fresh(**connection, *lease, detail::ObjectKind::service_key);
  detail::SessionObject opened(**connection, *lease, detail::ObjectKind::service_key);
  ASSERT_TRUE(session.make_keypass(fresh).well());
  Bytes wrapped;
  ASSERT_TRUE(session.wrap(wrapping_key(), fresh, wrapped).well());
  const auto step = session.unwrap_keypass(wrapping_key(), wrapped, opened);
  ASSERT_TRUE(step.well());
  EXPECT_EQ(read(fresh.handle(), CKA_VALUE), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(read(opened.handle(), CKA_VALUE), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(wrap(wrapping_key(), opened.handle()), CKR_KEY_UNEXTRACTABLE);
  EXPECT_NE(wrap(opened.handle(), fresh.handle()), CKR_OK) << "an opened keypass unwraps and does nothing else";
  for (const auto& [type, wish] : {std::pair(CKA_EXTRACTABLE, true), std::pair(CKA_SENSITIVE, false)}) {
    detail::Template change;
    change.flag(type, wish);
    EXPECT_NE(raw_module().C_SetAttributeValue(raw.handle(), opened.handle(), change.data(), change.size()), CKR_OK);
  }
  detail::Template more;
  more.mechanisms(CKA_ALLOWED_MECHANISMS, {CKM_AES_ECB});
  EXPECT_NE(raw_module().C_SetAttributeValue(raw.handle(), opened.handle(), more.data(), more.size()), CKR_OK);
  detail::Template flags;
  flags.flag(CKA_ENCRYPT, true).flag(CKA_DECRYPT, true);
  (void)raw_module().C_SetAttributeValue(raw.handle(), opened.handle(), flags.data(), flags.size());
  for (const auto keypass : {fresh.handle(), opened.handle()}) {
    EXPECT_NE(begin_ecb(keypass, /*decrypt=*/false), CKR_OK);
    EXPECT_NE(begin_ecb(keypass, /*decrypt=*/true), CKR_OK);
  }
}

TEST_F(SessionKeys, SignNothingWhileTheyAreExtractable) {
  ASSERT_TRUE(connection);
  auto lease = (*connection)->lease();
  ASSERT_TRUE(lease);
  detail::WrappingSession session(**connection, *lease);
  detail::SessionObject own(**connection, *lease, detail::ObjectKind::signer_key);
  detail::SessionObject other(**connection, *lease, detail::ObjectKind::signer_key);
  std::optional<crypto::PublicKey> key;
  ASSERT_TRUE(session.make_pair(KeyAlgorithm::p256, own, other, key).well());
  CK_MECHANISM ecdsa{CKM_ECDSA, nullptr, 0};
  EXPECT_NE(raw_module().C_SignInit(raw.handle(), &ecdsa, own.handle()), CKR_OK);
  EXPECT_EQ(read(own.handle(), CKA_VALUE), CKR_ATTRIBUTE_SENSITIVE);
}

TEST_F(SessionKeys, RefuseAKeypassThatIsNoAes256Key) {
  const auto weak = own_key(16);
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
  Bytes wrapped_weak(64);
  CK_ULONG length = wrapped_weak.size();
  ASSERT_EQ(raw_module().C_WrapKey(raw.handle(), &mechanism, wrapping_key(), weak, wrapped_weak.data(), &length), CKR_OK);
  wrapped_weak.resize(length);
  ASSERT_TRUE(connection);
  auto lease = (*connection)->lease();
  ASSERT_TRUE(lease);
  detail::WrappingSession session(**connection, *lease);
  detail::SessionObject opened(**connection, *lease, detail::ObjectKind::service_key);
  const auto step = session.unwrap_keypass(wrapping_key(), wrapped_weak, opened);
  ASSERT_TRUE(step.refused);
  EXPECT_EQ(step.refused->code, ErrorCode::storage_unavailable);
}

class FaultyWrapping : public WrappingTest {};

TEST_F(FaultyWrapping, CallsNoSecretWrongWhenTheTokenUnwrapsNothing) {
  const auto healthy = wrapping->check();
  EXPECT_TRUE(healthy) << healthy.error().detail;
  const testing::Environment fault("INTAGLIO_TOKEN_FAULT", "wrapping-step:0");
  EXPECT_EQ(code_of(wrapping->activate(p256->public_key, p256->wrapped)), ErrorCode::token_unavailable);
  EXPECT_EQ(code_of(wrapping->check()), ErrorCode::token_unavailable);
}

TEST_F(FaultyWrapping, CallsNoSecretWrongWhenTheTokenIsUnwell) {
  const auto fresh = testing::open_token();
  const auto own = KeyWrapping::open(fresh, *fresh->find_service_key(KeyPurpose::key_wrapping, smkw->id()));
  ASSERT_TRUE(own);
  auto wrong = copy_of(p256->wrapped);
  wrong.keypass.writable()[0] ^= 1;
  EXPECT_EQ(code_of((*own)->activate(p256->public_key, wrong)), ErrorCode::authentication_failed);
  const testing::Environment fault("INTAGLIO_TOKEN_FAULT", "unwell");
  EXPECT_EQ(code_of((*own)->activate(p256->public_key, wrong)), ErrorCode::token_unavailable);
}

TEST_F(FaultyWrapping, LeavesNoSessionObjectWhicheverStepFails) {
  const auto objects = *token->object_count();
  unsigned failed = 0;
  for (unsigned step = 1; step <= 5; ++step) {
    // A token of its own each time: the circuit breaker counts these failures.
    const auto fresh = testing::open_token();
    const auto own = KeyWrapping::open(fresh, *fresh->find_service_key(KeyPurpose::key_wrapping, smkw->id()));
    ASSERT_TRUE(own);
    ASSERT_TRUE(fresh->check_health());
    const auto before = session_objects();
    const testing::Environment fault("INTAGLIO_TOKEN_FAULT", "wrapping-step:" + std::to_string(step));
    failed += (*own)->generate(KeyAlgorithm::p256) ? 0U : 1U;
    EXPECT_EQ(session_objects(), before) << "generate, step " << step;
    failed += (*own)->activate(p256->public_key, p256->wrapped) ? 0U : 1U;
    EXPECT_EQ(session_objects(), before) << "activate, step " << step;
    failed += (*own)->rewrap(p256->public_key, p256->wrapped) ? 0U : 1U;
    EXPECT_EQ(session_objects(), before) << "rewrap, step " << step;
  }
  EXPECT_EQ(failed, 4U + 2U + 5U) << "each call of each operation failed once";
  EXPECT_EQ(*token->object_count(), objects);
}

TEST_F(FaultyWrapping, LeavesNoSessionObjectWhenTheSessionIsLostBetweenUnwrappingAndSigning) {
  const auto before = session_objects();
  {
    const auto activated = wrapping->activate(p256->public_key, p256->wrapped);
    ASSERT_TRUE(activated);
    const testing::Environment fault("INTAGLIO_TOKEN_FAULT", "session-lost");
    const auto outcome = token->sign_for_activation(activated->key(), SignatureSuite::ecdsa_sha256, sample_digest(32));
    ASSERT_TRUE(outcome.refusal);
    EXPECT_TRUE(outcome.refusal->definite);
    const auto again = token->sign_for_activation(activated->key(), SignatureSuite::ecdsa_sha256, sample_digest(32));
    ASSERT_TRUE(again.refusal);
    EXPECT_TRUE(again.refusal->definite);
  }
  EXPECT_EQ(session_objects(), before);
}

TEST_F(WrappingTest, LeavesAllObjectsAsTheyWereAfter200ActivationsOfWhichSomeFail) {
  const auto objects = *token->object_count();
  const auto before = session_objects();
  for (int round = 0; round < 200; ++round) {
    auto wrapped = copy_of(p256->wrapped);
    if (round % 5 == 1) wrapped.keypass.writable()[7] ^= 1;
    if (round % 5 == 2) wrapped.key[9] ^= 1;
    const auto activated = wrapping->activate(p256->public_key, wrapped);
    ASSERT_EQ(static_cast<bool>(activated), round % 5 != 1 && round % 5 != 2);
    if (!activated) continue;
    // Some sign, some do not, and one asks for what its key does not do.
    if (round % 5 == 3) continue;
    const auto suite = round % 5 == 4 ? SignatureSuite::rsa_pss_sha256 : SignatureSuite::ecdsa_sha256;
    EXPECT_EQ(token->sign_for_activation(activated->key(), suite, sample_digest(32)).signature.has_value(), round % 5 == 0);
  }
  EXPECT_EQ(session_objects(), before);
  EXPECT_EQ(*token->object_count(), objects);
}

TEST_F(WrappingTest, LetsABatchTakeLongerThanOneCallMay) {
  auto config = testing::config_of();
  config.call_timeout = std::chrono::milliseconds(1000);
  const auto own = Token::open(config);
  ASSERT_TRUE(own);
  const auto slow = KeyWrapping::open(*own, *(*own)->find_service_key(KeyPurpose::key_wrapping, smkw->id()));
  ASSERT_TRUE(slow);
  const auto closed = count_of(**own, "C_CloseSession", "CKR_OK");
  {
    const auto activated = (*slow)->activate(p256->public_key, p256->wrapped);
    ASSERT_TRUE(activated);
    const testing::Environment fault("INTAGLIO_TOKEN_FAULT", "slow:400");
    for (int each = 0; each < 3; ++each) {
      ASSERT_TRUE((*own)->sign_for_activation(activated->key(), SignatureSuite::ecdsa_sha256, sample_digest(32)).signature);
    }
    EXPECT_EQ((*own)->hanging_calls(), 0U);
  }
  EXPECT_EQ(count_of(**own, "C_CloseSession", "CKR_OK"), closed) << "the session is given back and not closed as a late one";
}

TEST_F(WrappingTest, ServesMoreThreadsThanItHasSessions) {
  const auto before = session_objects();
  std::atomic<unsigned> signatures{0};
  std::atomic<unsigned> refused{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 8; ++number) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        auto wrapped = copy_of(p256->wrapped);
        if (round % 4 == 3) wrapped.keypass.writable()[1] ^= 1;
        const auto activated = wrapping->activate(p256->public_key, wrapped);
        if (!activated) {
          refused += code_of(activated) == ErrorCode::authentication_failed ? 1U : 0U;
          continue;
        }
        const auto digest = sample_digest(32);
        const auto outcome = token->sign_for_activation(activated->key(), SignatureSuite::ecdsa_sha256, digest);
        if (outcome.signature && p256->public_key.verify_digest(SignatureSuite::ecdsa_sha256, digest, *outcome.signature)) ++signatures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(signatures, 8U * 15U);
  EXPECT_EQ(refused, 8U * 5U);
  EXPECT_EQ(session_objects(), before);
}

}  // namespace
}  // namespace intaglio::token
