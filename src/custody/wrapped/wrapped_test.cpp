#include <gtest/gtest.h>

#include "crypto/certificate.h"
#include "crypto/random.h"
#include "custody/test_support.h"
#include "custody/wrapped/lock.h"
#include "custody/wrapped/pkcs11_wrap.h"
#include "custody/wrapped/vault.h"

namespace intaglio::sam {

/// Stands where the SAM's verifier stands, whose test is elsewhere: no one else can make an activation.
class Verifier {
 public:
  static custody::Activation activate(const custody::KeyBinding& binding, crypto::SignatureSuite suite, Bytes digest) {
    return custody::Activation(binding.key, binding.owner, suite, std::move(digest));
  }
};

}  // namespace intaglio::sam

namespace intaglio::custody {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::code_of;

KeyBinding binding_of(std::string_view owner, std::string_view key) {
  return {*KeyId::parse(key), *SignerId::parse(owner), Bytes(16, 0x11), "wrapped", 7};
}
Secret lock_of(std::uint8_t fill) { return Secret(Bytes(32, fill)); }
SignatureSuite suite_of(const crypto::PublicKey& key) {
  return crypto::is_rsa(key.algorithm()) ? SignatureSuite::rsa_pss_sha256 : SignatureSuite::ecdsa_sha256;
}
std::uint64_t count_of(const token::Token& token, std::string_view function, std::string_view result) {
  std::uint64_t count = 0;
  for (const auto& line : token.call_counts()) {
    if (line.function == function && line.result == result) count += line.count;
  }
  return count;
}

const MasterKeyIds master_keys{to_bytes("smkw"), to_bytes("smke")};

class WrappedCustody : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    token = testing::open_token();
    ASSERT_TRUE(Pkcs11Wrap::make_master_keys(*token, master_keys));
    auto provider = Pkcs11Wrap::open(token, master_keys);
    ASSERT_TRUE(provider) << provider.error().detail;
    wrap = provider->get();
    vault = std::make_unique<WrappedVault>(token, *std::move(provider));
    alice.emplace(binding_of("alice", "key-a"));
    auto pair = vault->generate(*alice, KeyAlgorithm::p256, lock_of(1));
    ASSERT_TRUE(pair) << pair.error().detail;
    made.emplace(*std::move(pair));
    // The known-answer check keeps a probe key: made now, so that counts do not meet it.
    ASSERT_TRUE(token->check_health());
  }
  static void TearDownTestSuite() {
    made.reset();
    alice.reset();
    vault.reset();
    token.reset();
  }
  static VaultOutcome sign_with(ActivationSigner& signer, const KeyBinding& binding, const crypto::PublicKey& key) {
    return signer.sign(sam::Verifier::activate(binding, suite_of(key), digest), key);
  }
  /// Whether the key opens and signs.
  static std::optional<ErrorCode> tried(const KeyBinding& binding, const crypto::PublicKey& key, const SealedKey& sealed,
                                        const Secret& lock) {
    auto opened = vault->open(binding, key, sealed, lock, 1);
    if (!opened) return opened.error().code;
    auto outcome = sign_with(**opened, binding, key);
    if (outcome.refusal) return outcome.refusal->error.code;
    return std::nullopt;
  }
  static std::size_t session_objects() { return *wrap->session_object_count(); }

  static const Bytes digest;
  static std::shared_ptr<token::Token> token;
  static Pkcs11Wrap* wrap;
  static std::unique_ptr<WrappedVault> vault;
  static std::optional<KeyBinding> alice;
  static std::optional<SealedPair> made;  ///< of alice, P-256, under lock 1
};
const Bytes WrappedCustody::digest(32, 0x5a);
std::shared_ptr<token::Token> WrappedCustody::token;
Pkcs11Wrap* WrappedCustody::wrap = nullptr;
std::unique_ptr<WrappedVault> WrappedCustody::vault;
std::optional<KeyBinding> WrappedCustody::alice;
std::optional<SealedPair> WrappedCustody::made;

TEST_F(WrappedCustody, SignsWithAKeyThatIsOpenedWithTheSignersLock) {
  const auto objects = *token->object_count();
  const auto before = session_objects();
  for (const auto algorithm : {KeyAlgorithm::rsa3072, KeyAlgorithm::p256}) {
    const auto binding = binding_of("bob", algorithm == KeyAlgorithm::p256 ? "key-ec" : "key-rsa");
    const auto pair = vault->generate(binding, algorithm, lock_of(3));
    ASSERT_TRUE(pair) << pair.error().detail;
    EXPECT_EQ(pair->sealed.locked.size(), 32U + 40U);
    auto opened = vault->open(binding, pair->public_key, pair->sealed, lock_of(3), 3);
    ASSERT_TRUE(opened) << opened.error().detail;
    for (int each = 0; each < 3; ++each) {
      const auto outcome = sign_with(**opened, binding, pair->public_key);
      ASSERT_TRUE(outcome.signature) << outcome.refusal->error.detail;
      EXPECT_TRUE(pair->public_key.verify_digest(suite_of(pair->public_key), digest, *outcome.signature));
    }
  }
  EXPECT_EQ(session_objects(), before);
  EXPECT_EQ(*token->object_count(), objects) << "no signer's key is kept in the token";
}

TEST_F(WrappedCustody, MakesBothMasterKeysOrNone) {
  const auto objects = *token->object_count();
  EXPECT_EQ(code_of(Pkcs11Wrap::make_master_keys(*token, master_keys)), ErrorCode::conflict);
  EXPECT_EQ(code_of(Pkcs11Wrap::make_master_keys(*token, {to_bytes("another"), master_keys.encryption})), ErrorCode::conflict);
  EXPECT_EQ(*token->object_count(), objects);
  EXPECT_EQ(code_of(Pkcs11Wrap::open(token, {to_bytes("another"), master_keys.encryption})), ErrorCode::not_found);
}

TEST_F(WrappedCustody, SaysThatItIsEmulated) {
  EXPECT_EQ(vault->key_authorisation(), "emulated");
  EXPECT_EQ(vault->provider(), "pkcs11-wrap");
}

TEST_F(WrappedCustody, MakesACertificateRequestThatProvesPossession) {
  const auto subject = *parse_hex("300f310d300b06035504030c0454657374");
  const auto request = vault->make_certificate_request(*alice, made->public_key, made->sealed, lock_of(1), subject);
  ASSERT_TRUE(request) << request.error().detail;
  const auto parsed = crypto::parse_csr(*request);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->key.spki(), made->public_key.spki());
  EXPECT_EQ(code_of(vault->make_certificate_request(*alice, made->public_key, made->sealed, lock_of(2), subject)),
            ErrorCode::authentication_failed);
}

TEST_F(WrappedCustody, RefusesAWrongLockAsAFailedAuthenticationAndNothingSigns) {
  const auto signatures = token->signer_signatures();
  const auto before = session_objects();
  EXPECT_EQ(tried(*alice, made->public_key, made->sealed, lock_of(2)), ErrorCode::authentication_failed);
  EXPECT_EQ(token->signer_signatures(), signatures);
  EXPECT_EQ(session_objects(), before);
}

TEST_F(WrappedCustody, ShowsNobodyOutsideTheTokenWhetherALockIsRight) {
  const auto unwraps = [] { return count_of(*token, "C_UnwrapKey", "CKR_OK") + count_of(*token, "C_UnwrapKey", "CKR_GENERAL_ERROR"); };
  const auto calls = unwraps();
  const auto right = open_lock(lock_of(1), *alice, made->sealed.locked);
  ASSERT_TRUE(right);
  EXPECT_EQ(right->size(), token::wrapped_keypass_length);
  for (unsigned guess = 0; guess < 1000; ++guess) {
    const auto opened = open_lock(*crypto::random_secret(32), *alice, made->sealed.locked);
    ASSERT_TRUE(opened);
    ASSERT_EQ(opened->size(), token::wrapped_keypass_length);
    EXPECT_FALSE(same_secret(opened->reveal(), right->reveal()));
  }
  EXPECT_EQ(unwraps(), calls) << "a guess is answered without the token, and with nothing";
  EXPECT_EQ(tried(*alice, made->public_key, made->sealed, lock_of(9)), ErrorCode::authentication_failed);
  EXPECT_GT(unwraps(), calls) << "only C_UnwrapKey refuses it";
}

TEST_F(WrappedCustody, HidesTheKeypassAnewEachTime) {
  const auto content = Secret(Bytes(40, 0));
  const auto one = close_lock(lock_of(1), *alice, content);
  const auto two = close_lock(lock_of(1), *alice, content);
  ASSERT_TRUE(one && two);
  EXPECT_NE(to_bytes(ByteView(*one).first(lock_salt)), to_bytes(ByteView(*two).first(lock_salt)));
  EXPECT_NE(to_bytes(ByteView(*one).subspan(lock_salt)), to_bytes(ByteView(*two).subspan(lock_salt)));
}

TEST_F(WrappedCustody, RefusesALockThatIsTooShortToBeOne) {
  const Secret weak(Bytes(31, 1));
  EXPECT_EQ(code_of(vault->generate(binding_of("eve", "key-e"), KeyAlgorithm::p256, weak)), ErrorCode::invalid_request);
  EXPECT_EQ(tried(*alice, made->public_key, made->sealed, weak), ErrorCode::invalid_request);
}

TEST_F(WrappedCustody, OpensForNoOtherBindingThanItsOwn) {
  auto other = *alice;
  other.owner = *SignerId::parse("mallory");
  EXPECT_EQ(tried(other, made->public_key, made->sealed, lock_of(1)), ErrorCode::storage_unavailable);
  other = *alice;
  other.key = *KeyId::parse("key-b");
  EXPECT_EQ(tried(other, made->public_key, made->sealed, lock_of(1)), ErrorCode::storage_unavailable);
  other = *alice;
  other.holder = Bytes(16, 0x12);
  EXPECT_EQ(tried(other, made->public_key, made->sealed, lock_of(1)), ErrorCode::storage_unavailable);
  other = *alice;
  other.profile = "resident";
  EXPECT_EQ(tried(other, made->public_key, made->sealed, lock_of(1)), ErrorCode::storage_unavailable);
  other = *alice;
  other.policy_version = 8;
  EXPECT_EQ(tried(other, made->public_key, made->sealed, lock_of(1)), ErrorCode::storage_unavailable);
  EXPECT_EQ(tried(*alice, made->public_key, made->sealed, lock_of(1)), std::nullopt);
}

TEST_F(WrappedCustody, OpensForNoOtherPublicKeyThanItsOwn) {
  const auto other = vault->generate(binding_of("alice", "key-o"), KeyAlgorithm::p256, lock_of(1));
  ASSERT_TRUE(other);
  EXPECT_EQ(tried(*alice, other->public_key, made->sealed, lock_of(1)), ErrorCode::storage_unavailable);
}

TEST_F(WrappedCustody, TellsNoTwoBindingsApartByWhereAFieldEnds) {
  const auto one = binding_of("ab", "c");
  const auto two = binding_of("a", "bc");
  const auto pair = vault->generate(one, KeyAlgorithm::p256, lock_of(1));
  ASSERT_TRUE(pair);
  EXPECT_EQ(tried(two, pair->public_key, pair->sealed, lock_of(1)), ErrorCode::storage_unavailable);
  EXPECT_EQ(tried(one, pair->public_key, pair->sealed, lock_of(1)), std::nullopt);
}

TEST_F(WrappedCustody, RefusesABlobThatDiffersInOneBitAndCountsNoAttempt) {
  for (std::size_t at = 0; at < made->sealed.blob.size(); at += 7) {
    auto changed = made->sealed;
    changed.blob[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    EXPECT_EQ(tried(*alice, made->public_key, changed, lock_of(1)), ErrorCode::storage_unavailable) << at;
  }
  auto shorter = made->sealed;
  shorter.blob.resize(20);
  EXPECT_EQ(tried(*alice, made->public_key, shorter, lock_of(1)), ErrorCode::storage_unavailable);
}

TEST_F(WrappedCustody, RefusesALockedKeypassThatDiffersInOneBitJustAsAWrongLock) {
  for (std::size_t at = 0; at < made->sealed.locked.size(); at += 5) {
    auto changed = made->sealed;
    changed.locked[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    EXPECT_EQ(tried(*alice, made->public_key, changed, lock_of(1)), ErrorCode::authentication_failed) << at;
  }
}

TEST_F(WrappedCustody, RefusesALockedKeypassOfAnotherLengthWhateverTheLock) {
  for (const auto& lock : {lock_of(1), lock_of(2)}) {
    for (const std::size_t length : {std::size_t{0}, std::size_t{32}, std::size_t{71}, std::size_t{80}}) {
      auto changed = made->sealed;
      changed.locked.resize(length);
      EXPECT_EQ(tried(*alice, made->public_key, changed, lock), ErrorCode::storage_unavailable) << length;
    }
  }
}

TEST_F(WrappedCustody, DoesNotOpenTheBlobOfOneKeyWithTheKeypassOfAnother) {
  const auto bob = binding_of("bob", "key-bob");
  const auto other = vault->generate(bob, KeyAlgorithm::p256, lock_of(1));
  ASSERT_TRUE(other);
  EXPECT_EQ(tried(bob, other->public_key, {other->sealed.blob, made->sealed.locked}, lock_of(1)), ErrorCode::authentication_failed)
      << "a lock is one of its key: the same secret hides other bytes";
  // The keypass of alice, hidden again as bob's: what someone could do who knows her lock.
  const auto keypass = open_lock(lock_of(1), *alice, made->sealed.locked);
  const auto as_bobs = close_lock(lock_of(1), bob, *keypass);
  ASSERT_TRUE(as_bobs);
  EXPECT_EQ(tried(bob, other->public_key, {other->sealed.blob, *as_bobs}, lock_of(1)), ErrorCode::storage_unavailable);
}

TEST_F(WrappedCustody, ChangesTheLockSoThatNeitherOldRowNorOldLockMixWithTheNew) {
  auto newer = *alice;
  newer.policy_version = 8;
  const auto changed = vault->change_lock(*alice, newer, made->public_key, made->sealed, lock_of(1), lock_of(2));
  ASSERT_TRUE(changed) << changed.error().detail;
  EXPECT_EQ(tried(newer, made->public_key, *changed, lock_of(2)), std::nullopt);
  EXPECT_EQ(tried(newer, made->public_key, *changed, lock_of(1)), ErrorCode::authentication_failed) << "the new row, the old lock";
  EXPECT_EQ(tried(*alice, made->public_key, made->sealed, lock_of(2)), ErrorCode::authentication_failed) << "the old row, the new lock";
  // Rows that are put together from both.
  EXPECT_EQ(tried(newer, made->public_key, {changed->blob, made->sealed.locked}, lock_of(1)), ErrorCode::storage_unavailable);
  EXPECT_EQ(tried(*alice, made->public_key, {made->sealed.blob, changed->locked}, lock_of(2)), ErrorCode::storage_unavailable);
  EXPECT_EQ(code_of(vault->change_lock(*alice, newer, made->public_key, made->sealed, lock_of(3), lock_of(2))),
            ErrorCode::authentication_failed)
      << "whoever does not know the old lock sets no new one";
}

TEST_F(WrappedCustody, OpensAKeyForOneBatchAndNoSignatureMore) {
  auto opened = vault->open(*alice, made->public_key, made->sealed, lock_of(1), 2);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(sign_with(**opened, *alice, made->public_key).signature);
  EXPECT_TRUE(sign_with(**opened, *alice, made->public_key).signature);
  const auto signatures = token->signer_signatures();
  const auto third = sign_with(**opened, *alice, made->public_key);
  ASSERT_TRUE(third.refusal);
  EXPECT_TRUE(third.refusal->definite);
  EXPECT_EQ(token->signer_signatures(), signatures);
  EXPECT_EQ(code_of(vault->open(*alice, made->public_key, made->sealed, lock_of(1), 0)), ErrorCode::invalid_request);
}

TEST_F(WrappedCustody, SignsByNoActivationOfAnotherKeyOrSigner) {
  auto opened = vault->open(*alice, made->public_key, made->sealed, lock_of(1), 5);
  ASSERT_TRUE(opened);
  const auto signatures = token->signer_signatures();
  for (const auto& other : {binding_of("alice", "key-b"), binding_of("bob", "key-a")}) {
    const auto outcome = sign_with(**opened, other, made->public_key);
    ASSERT_TRUE(outcome.refusal);
    EXPECT_TRUE(outcome.refusal->definite);
  }
  EXPECT_EQ(token->signer_signatures(), signatures);
}

TEST_F(WrappedCustody, SignsForNoOtherCertificateThanThatOfItsKey) {
  const auto other = vault->generate(binding_of("bob", "key-c"), KeyAlgorithm::p256, lock_of(1));
  ASSERT_TRUE(other);
  auto opened = vault->open(*alice, made->public_key, made->sealed, lock_of(1), 1);
  ASSERT_TRUE(opened);
  const auto signatures = token->signer_signatures();
  const auto outcome = sign_with(**opened, *alice, other->public_key);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(token->signer_signatures(), signatures);
}

TEST_F(WrappedCustody, ReleasesNoSignatureThatDoesNotVerify) {
  const auto own = testing::open_token();
  WrappedVault other(own, *Pkcs11Wrap::open(own, master_keys));
  auto opened = other.open(*alice, made->public_key, made->sealed, lock_of(1), 1);
  ASSERT_TRUE(opened) << opened.error().detail;
  ::setenv("INTAGLIO_TOKEN_FAULT", "wrong-signature", 1);
  const auto outcome = sign_with(**opened, *alice, made->public_key);
  ::unsetenv("INTAGLIO_TOKEN_FAULT");
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::signature_doubtful);
  EXPECT_FALSE(outcome.refusal->definite);
}

TEST_F(WrappedCustody, BlamesNoSecretWhileTheTokenFails) {
  const auto own = testing::open_token();
  WrappedVault other(own, *Pkcs11Wrap::open(own, master_keys));
  ::setenv("INTAGLIO_TOKEN_FAULT", "wrapping-step:0", 1);
  const auto right = other.open(*alice, made->public_key, made->sealed, lock_of(1), 1);
  const auto wrong = other.open(*alice, made->public_key, made->sealed, lock_of(2), 1);
  ::unsetenv("INTAGLIO_TOKEN_FAULT");
  EXPECT_EQ(code_of(right), ErrorCode::token_unavailable);
  EXPECT_EQ(code_of(wrong), ErrorCode::token_unavailable);
}

/// A provider that opens a key for any lock.
class Careless final : public BlobProvider {
 public:
  explicit Careless(std::unique_ptr<BlobProvider> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "careless"; }
  [[nodiscard]] std::string key_authorisation() const override { return "none"; }
  Result<SealedPair> generate(const KeyBinding& binding, KeyAlgorithm algorithm, const Secret&) override {
    return inner_->generate(binding, algorithm, lock_of(1));
  }
  Result<token::ActivatedKey> activate(const KeyBinding& binding, const crypto::PublicKey& expected, const SealedKey& sealed,
                                       const Secret&) override {
    return inner_->activate(binding, expected, sealed, lock_of(1));
  }
  Result<SealedKey> change_lock(const KeyBinding&, const KeyBinding&, const crypto::PublicKey&, const SealedKey& old, const Secret&,
                                const Secret&) override {
    return old;
  }

 private:
  std::unique_ptr<BlobProvider> inner_;
};

TEST_F(WrappedCustody, TellsBeforeItServesWhetherTheTokenDoesIt) {
  const auto before = session_objects();
  for (const auto algorithm : {KeyAlgorithm::p256, KeyAlgorithm::rsa3072}) {
    const auto served = vault->check(algorithm);
    EXPECT_TRUE(served) << served.error().detail;
  }
  EXPECT_EQ(session_objects(), before);

  const auto own = testing::open_token();
  WrappedVault failing(own, *Pkcs11Wrap::open(own, master_keys));
  ::setenv("INTAGLIO_TOKEN_FAULT", "wrapping-step:0", 1);
  const auto refused = failing.check(KeyAlgorithm::p256);
  ::unsetenv("INTAGLIO_TOKEN_FAULT");
  EXPECT_EQ(code_of(refused), ErrorCode::unsupported);

  WrappedVault careless(token, std::make_unique<Careless>(*Pkcs11Wrap::open(token, master_keys)));
  const auto opened = careless.check(KeyAlgorithm::p256);
  EXPECT_EQ(code_of(opened), ErrorCode::unsupported);
  EXPECT_NE(opened.error().detail.find("refusing a wrong lock"), std::string::npos) << opened.error().detail;
}

TEST_F(WrappedCustody, LeavesAllObjectsAsTheyWereAfter200ActivationsOfWhichSomeFail) {
  const auto objects = *token->object_count();
  const auto before = session_objects();
  for (int round = 0; round < 200; ++round) {
    auto sealed = made->sealed;
    if (round % 4 == 1) sealed.blob[20] ^= 1;
    const auto lock = lock_of(round % 4 == 2 ? 2 : 1);
    const auto code = tried(*alice, made->public_key, sealed, lock);
    const auto expected = round % 4 == 1   ? std::optional(ErrorCode::storage_unavailable)
                          : round % 4 == 2 ? std::optional(ErrorCode::authentication_failed)
                                           : std::nullopt;
    ASSERT_EQ(code, expected) << round;
  }
  EXPECT_EQ(session_objects(), before);
  EXPECT_EQ(*token->object_count(), objects);
}

}  // namespace
}  // namespace intaglio::custody
