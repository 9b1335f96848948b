#include <gtest/gtest.h>

#include "crypto/certificate.h"
#include "custody/one_time/vault.h"
#include "custody/test_support.h"
#include "custody/wrapped/sealed_key.h"

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

KeyId fresh_key() {
  static unsigned next = 0;
  return *KeyId::parse("one-time-" + std::to_string(++next));
}
const SignerId& alice() {
  static const SignerId id = *SignerId::parse("alice");
  return id;
}

class OneTimeCustody : public ::testing::Test {
 protected:
  void SetUp() override {
    token = testing::open_token();
    vault = std::make_unique<OneTimeVault>(token, 3);
    // The known-answer check keeps a probe key: made now, so that counts do not meet it.
    ASSERT_TRUE(token->check_health());
  }
  [[nodiscard]] VaultOutcome sign(const KeyId& key, const crypto::PublicKey& certified) {
    return vault->sign(sam::Verifier::activate({key, alice(), {}, "one-time", 1}, SignatureSuite::ecdsa_sha256, digest), certified);
  }

  const Bytes digest = Bytes(32, 0x5a);
  std::shared_ptr<token::Token> token;
  std::unique_ptr<OneTimeVault> vault;
};

TEST_F(OneTimeCustody, MakesAKeyThatProvesItselfSignsAndIsGoneAfterItsDestruction) {
  const auto stored = *token->object_count();
  for (const auto algorithm : {KeyAlgorithm::p256, KeyAlgorithm::rsa2048}) {
    const auto id = fresh_key();
    const auto key = vault->generate(id, algorithm);
    ASSERT_TRUE(key) << key.error().detail;
    EXPECT_EQ(key->algorithm(), algorithm);
    EXPECT_EQ(*token->object_count(), stored) << "a one-time key was stored";
    const auto request = vault->make_certificate_request(id, alice(), *crypto::encode_name({{"2.5.4.3", "Ada Example"}}));
    ASSERT_TRUE(request) << request.error().detail;
    EXPECT_EQ(crypto::parse_csr(*request)->key.spki(), key->spki());
    const auto suite = crypto::is_rsa(algorithm) ? SignatureSuite::rsa_pss_sha256 : SignatureSuite::ecdsa_sha256;
    const auto outcome = vault->sign(sam::Verifier::activate({id, alice(), {}, "one-time", 1}, suite, digest), *key);
    ASSERT_TRUE(outcome.signature) << outcome.refusal->error.detail;
    EXPECT_TRUE(key->verify_digest(suite, digest, *outcome.signature));
    const auto destroyed = vault->destroy(id);
    ASSERT_TRUE(destroyed) << destroyed.error().detail;
    EXPECT_TRUE(token::OneTimeKey::check_gone(*token, as_bytes(id.text())));
    EXPECT_EQ(vault->count(), 0U);
  }
}

TEST_F(OneTimeCustody, SignsNothingAfterTheKeyWasDestroyed) {
  const auto id = fresh_key();
  const auto key = vault->generate(id, KeyAlgorithm::p256);
  ASSERT_TRUE(key);
  ASSERT_TRUE(vault->destroy(id));
  const auto before = token->signer_signatures();
  const auto outcome = sign(id, *key);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(token->signer_signatures(), before);
  EXPECT_EQ(code_of(vault->make_certificate_request(id, alice(), *crypto::encode_name({{"2.5.4.3", "Ada"}}))), ErrorCode::not_found);
}

TEST_F(OneTimeCustody, SignsNothingForTheCertificateOfAnotherKey) {
  const auto id = fresh_key(), other_id = fresh_key();
  ASSERT_TRUE(vault->generate(id, KeyAlgorithm::p256));
  const auto other = vault->generate(other_id, KeyAlgorithm::p256);
  ASSERT_TRUE(other);
  const auto before = token->signer_signatures();
  const auto outcome = sign(id, *other);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(token->signer_signatures(), before);
}

TEST_F(OneTimeCustody, HoldsNoMoreKeysThanItMay) {
  for (int made = 0; made < 3; ++made) ASSERT_TRUE(vault->generate(fresh_key(), KeyAlgorithm::p256));
  const auto last = fresh_key();
  EXPECT_EQ(code_of(vault->generate(last, KeyAlgorithm::p256)), ErrorCode::busy);
  EXPECT_TRUE(token::OneTimeKey::check_gone(*token, as_bytes(last.text())));
}

TEST_F(OneTimeCustody, TakesItsKeysAlongWhenItEnds) {
  const auto id = fresh_key();
  ASSERT_TRUE(vault->generate(id, KeyAlgorithm::p256));
  EXPECT_FALSE(token::OneTimeKey::check_gone(*token, as_bytes(id.text()))) << "the search finds no session objects";
  vault.reset();
  EXPECT_TRUE(token::OneTimeKey::check_gone(*token, as_bytes(id.text())));
}

TEST_F(OneTimeCustody, RefusesAnIdOfWhichTheTokenHoldsAnObject) {
  const auto id = fresh_key();
  ASSERT_TRUE(vault->generate(id, KeyAlgorithm::p256));
  EXPECT_EQ(code_of(vault->generate(id, KeyAlgorithm::p256)), ErrorCode::conflict);
  OneTimeVault another(token, 1);
  EXPECT_EQ(code_of(another.generate(id, KeyAlgorithm::p256)), ErrorCode::conflict);
}

TEST_F(OneTimeCustody, ReportsTheKeyOfAnEarlierProcessAsGone) { EXPECT_TRUE(vault->destroy(fresh_key())); }

TEST_F(OneTimeCustody, SaysThatAKeyIsStillThereWhenItIs) {
  const auto id = fresh_key();
  ASSERT_TRUE(vault->generate(id, KeyAlgorithm::p256));
  OneTimeVault another(token, 1);
  EXPECT_EQ(code_of(another.destroy(id)), ErrorCode::conflict);
}

}  // namespace
}  // namespace intaglio::custody
