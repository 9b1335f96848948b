#include "token/detail/directory_guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/file.h"
#include "token/detail/test_support.h"

namespace intaglio::token {
namespace {

using detail::DirectoryGuard;
using detail::is_whole_object_file;
using testing::code_of;
using testing::Victim;

TEST(TokenObject, IsWholeOnlyFromItsFirstToItsLastByte) {
  const Victim victim;
  const auto content = read_file(victim.object(), 1U << 20U);
  ASSERT_TRUE(content);
  EXPECT_TRUE(is_whole_object_file(*content));
  EXPECT_FALSE(is_whole_object_file({}));
  EXPECT_FALSE(is_whole_object_file(ByteView(*content).first(8)));
  EXPECT_FALSE(is_whole_object_file(ByteView(*content).first(content->size() - 1)));
  EXPECT_FALSE(is_whole_object_file(ByteView(*content).first(content->size() / 2)));
  EXPECT_FALSE(is_whole_object_file(Bytes(content->size(), 0)));
}

TEST(TokenObject, IsRestoredWhenALoginLeftItEmptyOrTorn) {
  const Victim victim;
  ASSERT_TRUE(Token::open(victim.config()));
  const auto good = read_file(victim.object(), 1U << 20U);
  for (const std::size_t left : {std::size_t{0}, std::size_t{8}, good->size() / 2}) {
    std::filesystem::resize_file(victim.object(), left);
    const auto token = Token::open(victim.config());
    ASSERT_TRUE(token) << left << ": " << token.error().detail;
    EXPECT_TRUE((*token)->generate_signer_key(crypto::KeyAlgorithm::p256, testing::fresh_id(), "after"));
  }
}

TEST(TokenObject, IsNotRestoredFromACopyThatIsTornItself) {
  const Victim victim;
  ASSERT_TRUE(Token::open(victim.config()));
  std::filesystem::resize_file(victim.object(), 0);
  auto copy = victim.object();
  copy += ".copy";
  std::filesystem::resize_file(copy, 10);
  EXPECT_EQ(code_of(Token::open(victim.config())), ErrorCode::token_unavailable);
}

TEST(TokenObject, SurvivesThreeHundredKillsOfProcessesThatStartAndLogIn) {
  const testing::Victim victim;
  const auto id = testing::fresh_id();
  std::optional<crypto::PublicKey> kept;
  {
    const auto token = Token::open(victim.config());
    ASSERT_TRUE(token) << token.error().detail;
    const auto key = (*token)->generate_signer_key(crypto::KeyAlgorithm::p256, id, "kept");
    ASSERT_TRUE(key) << key.error().detail;
    kept = key->public_key();
  }
  unsigned torn = 0;
  for (int round = 0; round < 300; ++round) {
    // The child is at its second start or a later one by then, and starts again and again.
    const auto child = testing::start_child(victim, "--open-without-end");
    std::this_thread::sleep_for(std::chrono::microseconds(137 * (round % 59)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "round " << round << ": the child ended by itself";
    torn += is_whole_object_file(*read_file(victim.object(), 1U << 20U)) ? 0U : 1U;
  }
  RecordProperty("torn", static_cast<int>(torn));
  const auto token = Token::open(victim.config());
  ASSERT_TRUE(token) << token.error().detail;
  const auto key = (*token)->find_signer_key(id);
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ(key->public_key().spki(), kept->spki());
  const auto digest = testing::sample_digest(32);
  const auto outcome = (*token)->sign_for_activation(*key, crypto::SignatureSuite::ecdsa_sha256, digest);
  ASSERT_TRUE(outcome.signature) << outcome.refusal->error.detail;
  EXPECT_TRUE(kept->verify_digest(crypto::SignatureSuite::ecdsa_sha256, digest, *outcome.signature));
}

TEST(DirectoryLock, KeepsOthersOutWhileItIsHeld) {
  const auto directory = testing::place().directory();
  {
    const auto held = DirectoryGuard::acquire(directory, std::chrono::milliseconds(0));
    ASSERT_TRUE(held);
    EXPECT_EQ(code_of(DirectoryGuard::acquire(directory, std::chrono::milliseconds(10))), ErrorCode::busy);
  }
  EXPECT_TRUE(DirectoryGuard::acquire(directory, std::chrono::milliseconds(0)));
  EXPECT_EQ(code_of(DirectoryGuard::acquire(directory / "none", std::chrono::milliseconds(0))), ErrorCode::configuration);
}

TEST(DirectoryUse, IsSharedByWhoServesAndRefusedToWhoWantsItAlone) {
  const auto directory = testing::place().root / "used";
  std::filesystem::create_directory(directory);
  using detail::DirectoryUse;
  {
    const auto serving = DirectoryUse::begin(directory, DirectoryUse::Kind::shared);
    ASSERT_TRUE(serving);
    EXPECT_TRUE(DirectoryUse::begin(directory, DirectoryUse::Kind::shared));
    EXPECT_EQ(code_of(DirectoryUse::begin(directory, DirectoryUse::Kind::alone)), ErrorCode::conflict);
  }
  const auto probing = DirectoryUse::begin(directory, DirectoryUse::Kind::alone);
  ASSERT_TRUE(probing);
  EXPECT_EQ(code_of(DirectoryUse::begin(directory, DirectoryUse::Kind::shared)), ErrorCode::conflict);
}

TEST(DirectoryLock, RefusesAFolderWithoutAToken) {
  auto config = testing::config_of();
  config.softhsm_directory = testing::place().root / "empty";
  std::filesystem::create_directory(config.softhsm_directory);
  EXPECT_EQ(code_of(Token::open(config)), ErrorCode::configuration);
}

}  // namespace
}  // namespace intaglio::token
