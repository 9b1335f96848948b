#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "token/detail/breaker.h"
#include "token/detail/slot.h"
#include "token/detail/test_support.h"

namespace intaglio::token {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::code_of;
using testing::count_of;
using testing::Environment;
using testing::fresh_id;
using testing::open_token;
using testing::raw_module;
using testing::sample_digest;

class LostToken : public ::testing::Test {
 protected:
  std::shared_ptr<Token> token = open_token();
  SignerKey key = *token->generate_signer_key(KeyAlgorithm::p256, fresh_id(), "lost");

  SignOutcome sign() { return token->sign_for_activation(key, SignatureSuite::ecdsa_sha256, sample_digest(32)); }
  [[nodiscard]] bool signs() {
    const auto outcome = sign();
    return outcome.signature && key.public_key().verify_digest(SignatureSuite::ecdsa_sha256, sample_digest(32), *outcome.signature);
  }
};

TEST_F(LostToken, SignsAgainAfterAllSessionsAndTheLoginWereLost) {
  const auto mac_key = token->generate_service_key(KeyPurpose::hmac, fresh_id(), "lost");
  ASSERT_TRUE(mac_key);
  const auto mac = token->hmac(*mac_key, as_bytes("data"));
  ASSERT_TRUE(signs());
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(raw_module().C_CloseAllSessions(testing::raw_slot()), CKR_OK);
    EXPECT_TRUE(signs());
    const auto again = token->hmac(*mac_key, as_bytes("data"));
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_TRUE(same_secret(mac->reveal(), again->reveal()));
  }
  EXPECT_EQ(count_of(*token, "C_Login", "CKR_OK"), 4U);
}

TEST_F(LostToken, SignsAgainAfterTheModuleLostItsState) {
  ASSERT_TRUE(signs());
  ASSERT_EQ(raw_module().C_Finalize(nullptr), CKR_OK);
  EXPECT_TRUE(signs());
  EXPECT_TRUE(token->check_health());
  ASSERT_EQ(raw_module().C_Finalize(nullptr), CKR_OK);
  EXPECT_TRUE(token->find_signer_key(key.id()));
}

TEST_F(LostToken, SignsAgainWhenOneSessionWasLostAndDoesNotLogInForIt) {
  ASSERT_TRUE(signs());
  const Environment fault("INTAGLIO_TOKEN_FAULT", "session-lost");
  const auto outcome = sign();
  // The fault closes the session of each attempt: the repair tries, then gives up with certainty.
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::token_unavailable);
  EXPECT_EQ(count_of(*token, "C_SignInit", "CKR_SESSION_HANDLE_INVALID"), 3U);
  EXPECT_EQ(count_of(*token, "C_Login", ""), 1U);
}

TEST_F(LostToken, TriesAPinThatBecameWrongOnlyOnce) {
  auto config = testing::config_of();
  config.pin_file = testing::place().root / "changing-pin";
  std::filesystem::copy_file(testing::place().pin_file(), config.pin_file, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::permissions(config.pin_file, std::filesystem::perms::owner_read);
  key = *token->find_signer_key(key.id());
  token.reset();
  token = *Token::open(config);
  key = *token->find_signer_key(key.id());
  ASSERT_TRUE(signs());

  ASSERT_TRUE(write_file_durably(config.pin_file, as_bytes("wrong"), 0600));
  ASSERT_EQ(raw_module().C_CloseAllSessions(testing::raw_slot()), CKR_OK);
  for (int round = 0; round < 5; ++round) {
    const auto outcome = sign();
    ASSERT_TRUE(outcome.refusal);
    EXPECT_TRUE(outcome.refusal->definite);
    EXPECT_FALSE(token->object_count());
  }
  EXPECT_EQ(count_of(*token, "C_Login", "CKR_PIN_INCORRECT"), 1U);
}

TEST_F(LostToken, RefusesAKeyThatIsAnotherOneAfterTheNewLogin) {
  ASSERT_TRUE(signs());
  {
    const auto other = open_token();
    ASSERT_TRUE(other->destroy(*other->find_signer_key(key.id())));
    ASSERT_TRUE(other->generate_signer_key(KeyAlgorithm::p256, key.id(), "swapped"));
  }
  ASSERT_EQ(raw_module().C_CloseAllSessions(testing::raw_slot()), CKR_OK);
  const auto outcome = sign();
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::not_found);
  EXPECT_TRUE(outcome.refusal->definite);
}

TEST_F(LostToken, RefusesWithCertaintyAKeyThatAnotherNodeDestroyed) {
  {
    const auto other = open_token();
    ASSERT_TRUE(other->destroy(*other->find_signer_key(key.id())));
  }
  const auto outcome = sign();
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(count_of(*token, "C_Login", ""), 1U);
}

TEST_F(LostToken, IsNotUsedByAForkedChild) {
  ASSERT_TRUE(signs());
  const auto child = ::fork();
  if (child == 0) ::_exit(sign().refusal && !token->object_count() && !token->check_health() ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

class FaultyToken : public LostToken {};

TEST_F(FaultyToken, GivesAWrongSignatureThatDoesNotVerify) {
  const Environment fault("INTAGLIO_TOKEN_FAULT", "wrong-signature");
  const auto outcome = sign();
  ASSERT_TRUE(outcome.signature);
  EXPECT_FALSE(key.public_key().verify_digest(SignatureSuite::ecdsa_sha256, sample_digest(32), *outcome.signature));
}

TEST_F(FaultyToken, IsDoubtfulOnceItWasAskedToSignAndNeverAskedAgain) {
  const Environment fault("INTAGLIO_TOKEN_FAULT", "doubtful");
  const auto before = token->signer_signatures();
  const auto outcome = sign();
  ASSERT_TRUE(outcome.refusal);
  EXPECT_FALSE(outcome.refusal->definite);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::signature_doubtful);
  EXPECT_EQ(token->signer_signatures(), before + 1);
}

TEST_F(FaultyToken, IsDefiniteBeforeItWasAskedToSign) {
  const Environment fault("INTAGLIO_TOKEN_FAULT", "definite");
  const auto before = token->signer_signatures();
  const auto outcome = sign();
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(token->signer_signatures(), before);
}

TEST_F(FaultyToken, TakesItsFaultFromAFileThatChangesWhileItRuns) {
  const auto file = testing::place().root / "fault";
  const Environment fault("INTAGLIO_TOKEN_FAULT", "@" + file.string());
  EXPECT_TRUE(signs());
  ASSERT_TRUE(write_file_durably(file, as_bytes("definite\n"), 0600));
  EXPECT_TRUE(sign().refusal);
  ASSERT_TRUE(write_file_durably(file, as_bytes("slow:1"), 0600));
  EXPECT_TRUE(signs());
}

TEST(HangingCall, LetsEverybodyElseBeRefusedAtOnceAndTheTokenServesAgainWhenItComesBack) {
  auto config = testing::config_of();
  config.call_timeout = std::chrono::milliseconds(200);
  const auto opened = Token::open(config);
  ASSERT_TRUE(opened) << opened.error().detail;
  const auto& token = *opened;
  const auto key = token->generate_signer_key(crypto::KeyAlgorithm::p256, fresh_id(), "hanging");
  const auto service = token->generate_service_key(KeyPurpose::hmac, fresh_id(), "hanging");
  ASSERT_TRUE(key && service);
  const auto sign = [&] { return token->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, sample_digest(32)); };
  ASSERT_TRUE(sign().signature);
  const auto closed = count_of(*token, "C_CloseSession", "CKR_OK");
  std::thread hanging([&] {
    const Environment fault("INTAGLIO_TOKEN_FAULT", "slow:2000");
    EXPECT_TRUE(sign().signature) << "it was reserved and is recorded as it ends, however late";
  });
  for (int round = 0; round < 1000 && token->hanging_calls() == 0; ++round) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_EQ(token->hanging_calls(), 1U);
  const auto start = std::chrono::steady_clock::now();
  const auto refused = sign();
  ASSERT_TRUE(refused.refusal);
  EXPECT_TRUE(refused.refusal->definite) << "it was not asked";
  EXPECT_EQ(refused.refusal->error.code, ErrorCode::token_unavailable);
  EXPECT_EQ(code_of(token->hmac(*service, sample_digest(32))), ErrorCode::token_unavailable);
  EXPECT_EQ(code_of(token->object_count()), ErrorCode::token_unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500)) << "nobody waits for the call that hangs";
  EXPECT_EQ(token->hanging_calls(), 1U);
  hanging.join();
  EXPECT_EQ(token->hanging_calls(), 0U);
  EXPECT_GT(count_of(*token, "C_CloseSession", "CKR_OK"), closed) << "its session is retired";
  EXPECT_TRUE(sign().signature);
}

TEST_F(FaultyToken, RestsAfterThreeDoubtsAndServesAgainWithoutARestart) {
  {
    const Environment fault("INTAGLIO_TOKEN_FAULT", "doubtful");
    for (int round = 0; round < 3; ++round) EXPECT_FALSE(sign().refusal->definite);
    const auto resting = sign();
    EXPECT_TRUE(resting.refusal->definite);
    EXPECT_EQ(resting.refusal->error.code, ErrorCode::token_unavailable);
  }
  bool served = false;
  for (int round = 0; round < 500 && !served; ++round) {
    served = signs();
    if (!served) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(served);
}

TEST_F(FaultyToken, IsCondemnedByTheSecondWrongSignature) {
  token->report_wrong_signature();
  EXPECT_TRUE(signs());
  token->report_wrong_signature();
  const auto outcome = sign();
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::token_unavailable);
}

TEST_F(FaultyToken, DoesNotReleaseAServiceSignatureThatDoesNotVerify) {
  const auto service = token->generate_service_key(KeyPurpose::service_signature, fresh_id(), "faulty");
  ASSERT_TRUE(service);
  const Environment fault("INTAGLIO_TOKEN_FAULT", "wrong-service-signature");
  EXPECT_EQ(code_of(token->sign(*service, SignatureSuite::ecdsa_sha256, sample_digest(32))), ErrorCode::token_unavailable);
}

TEST_F(FaultyToken, IsUnwellWhenItsProbeSignatureDoesNotVerify) {
  EXPECT_TRUE(token->check_health());
  const Environment fault("INTAGLIO_TOKEN_FAULT", "unwell");
  EXPECT_EQ(code_of(token->check_health()), ErrorCode::token_unavailable);
}

TEST_F(FaultyToken, SaysWhichAlgorithmsItServes) {
  using crypto::KeyAlgorithm;
  for (const auto algorithm :
       {KeyAlgorithm::p256, KeyAlgorithm::p384, KeyAlgorithm::p521, KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096}) {
    EXPECT_TRUE(token->check_algorithm(algorithm)) << crypto::name_of(algorithm);
  }
  const Environment fault("INTAGLIO_TOKEN_FAULT", "lacks-rsa");
  const auto lacking = token->check_algorithm(KeyAlgorithm::rsa3072);
  ASSERT_FALSE(lacking);
  EXPECT_EQ(lacking.error().code, ErrorCode::unsupported);
  EXPECT_TRUE(token->check_algorithm(KeyAlgorithm::p256));
}

TEST_F(FaultyToken, BlamesItselfAndNotTheInputWhenItIsUnwell) {
  const auto sealing = token->generate_service_key(KeyPurpose::data_encryption, fresh_id(), "faulty");
  ASSERT_TRUE(sealing);
  auto sealed = *token->encrypt(*sealing, sample_digest(16), {});
  sealed.back() ^= 0x01;
  EXPECT_EQ(code_of(token->decrypt(*sealing, sealed, {})), ErrorCode::invalid_request);
  const Environment fault("INTAGLIO_TOKEN_FAULT", "unwell");
  EXPECT_EQ(code_of(token->decrypt(*sealing, sealed, {})), ErrorCode::token_unavailable);
}

TEST(PinTries, LeaveTheLastOneToAPerson) {
  EXPECT_TRUE(detail::check_pin_tries(CKF_USER_PIN_COUNT_LOW));
  EXPECT_FALSE(detail::check_pin_tries(CKF_USER_PIN_FINAL_TRY));
  EXPECT_FALSE(detail::check_pin_tries(CKF_USER_PIN_LOCKED));
}

TEST(CircuitBreaker, OpensAfterThreeFailuresInARowAndASuccessBetweenThemForgives) {
  detail::Breaker breaker;
  breaker.failed();
  breaker.failed();
  breaker.succeeded();
  breaker.failed();
  breaker.failed();
  EXPECT_EQ(breaker.admit(), detail::Breaker::Answer::go);
  breaker.failed();
  EXPECT_EQ(breaker.admit(), detail::Breaker::Answer::refused);
}

TEST(CircuitBreaker, StaysOpenOnceItIsCondemned) {
  detail::Breaker breaker;
  breaker.condemn();
  breaker.tried(true);
  EXPECT_EQ(breaker.admit(), detail::Breaker::Answer::refused);
}

}  // namespace
}  // namespace intaglio::token
