#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "token/detail/test_support.h"

namespace intaglio::token {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::fresh_id;
using testing::open_token;
using testing::sample_digest;

TEST(Concurrency, EightThreadsSignWhileKeysAreMadeFoundAndDestroyed) {
  const auto token = open_token();
  const auto key = token->generate_signer_key(KeyAlgorithm::p256, fresh_id(), "busy");
  ASSERT_TRUE(key);
  std::atomic<bool> done{false};
  std::atomic<unsigned> refused{0};
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> signatures{0};
  std::vector<std::thread> signers;
  signers.reserve(8);
  for (int number = 0; number < 8; ++number) {
    signers.emplace_back([&] {
      const auto digest = sample_digest(32);
      while (!done) {
        const auto outcome = token->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, digest);
        if (!outcome.signature) {
          ++refused;
        } else if (!key->public_key().verify_digest(SignatureSuite::ecdsa_sha256, digest, *outcome.signature)) {
          ++wrong;
        }
        ++signatures;
      }
    });
  }
  std::vector<std::thread> makers;
  makers.reserve(8);
  std::atomic<unsigned> failed{0};
  for (int number = 0; number < 3; ++number) {
    makers.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        const auto id = fresh_id();
        const auto made = token->generate_signer_key(KeyAlgorithm::p256, id, "made");
        if (!made || !token->find_signer_key(id) || !token->destroy(*made)) ++failed;
      }
    });
  }
  for (auto& maker : makers) maker.join();
  done = true;
  for (auto& signer : signers) signer.join();
  EXPECT_EQ(failed, 0U);
  EXPECT_EQ(refused, 0U);
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(signatures, 0U);
  EXPECT_EQ(token->signer_signatures(), signatures);
}

TEST(Concurrency, MoreThreadsThanSessionsWaitForOne) {
  auto config = testing::config_of();
  config.sessions = 1;
  const auto token = Token::open(config);
  ASSERT_TRUE(token);
  std::atomic<unsigned> failed{0};
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int number = 0; number < 6; ++number) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) failed += (*token)->random(16) ? 0U : 1U;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0U);
  // The keeper of the login and the one of the pool.
  EXPECT_EQ(testing::count_of(**token, "C_OpenSession", "CKR_OK"), 2U);
}

TEST(Concurrency, ThreadsThatLoseTheLoginTogetherLogInOnce) {
  const auto token = open_token();
  const auto key = token->generate_signer_key(KeyAlgorithm::p256, fresh_id(), "together");
  ASSERT_TRUE(key);
  ASSERT_EQ(testing::raw_module().C_CloseAllSessions(testing::raw_slot()), CKR_OK);
  std::atomic<unsigned> failed{0};
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int number = 0; number < 8; ++number) {
    threads.emplace_back(
        [&] { failed += token->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, sample_digest(32)).signature ? 0U : 1U; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0U);
  EXPECT_EQ(testing::count_of(*token, "C_Login", ""), 2U);
}

TEST(ProcessEnd, WhileThreadsSignIsAnOrderlyExit) {
  const testing::Victim victim;
  // Threads that are cut off leave their memory behind, which is no leak of ours.
  const testing::Environment no_leak_check("ASAN_OPTIONS", "detect_leaks=0");
  for (int round = 0; round < 5; ++round) {
    const auto child = testing::start_child(victim, "--exit-while-signing");
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
    const auto token = Token::open(victim.config());
    ASSERT_TRUE(token);
    ASSERT_TRUE((*token)->destroy(*(*token)->find_signer_key(as_bytes("exit"))));
  }
}

}  // namespace
}  // namespace intaglio::token
