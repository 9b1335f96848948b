// Throw-away keys of a module that knows no session objects: SoftHSM under a profile that says so.
#include <gtest/gtest.h>

#include <algorithm>

#include "token/detail/test_support.h"
#include "token/hsm_profile.h"

namespace intaglio::token {
namespace {

std::shared_ptr<Token> token_that_stores() {
  auto profile = any_hsm_profile();
  profile.key_algorithms = {crypto::KeyAlgorithm::p256};
  profile.throw_away = HsmProfile::ThrowAway::token_objects;
  auto config = testing::config_of();
  config.profile = std::make_shared<const HsmProfile>(std::move(profile));
  auto token = Token::open(config);
  if (!token) panic(("the token of the test does not open: " + token.error().detail).c_str());
  return *token;
}

/// A token object with the probe's id, as a probe leaves it that was killed.
CK_OBJECT_HANDLE plant(CK_SESSION_HANDLE session, CK_BBOOL destroyable) {
  CK_BBOOL yes = CK_TRUE;
  CK_ULONG length = 32;
  std::string id = "intaglio-probe";
  CK_ATTRIBUTE stated[] = {{CKA_TOKEN, &yes, sizeof yes},
                           {CKA_ID, id.data(), id.size()},
                           {CKA_VALUE_LEN, &length, sizeof length},
                           {CKA_MODIFIABLE, &yes, sizeof yes},
                           {CKA_DESTROYABLE, &destroyable, sizeof destroyable}};
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  EXPECT_EQ(testing::raw_module().C_GenerateKey(session, &mechanism, stated, std::size(stated), &key), CKR_OK);
  return key;
}

/// The probe's last word about its own keys; it refuses no token by it.
ProbeLine word_about_keys(Token& token) {
  auto lines = probe(token, true);
  if (!lines) panic(("no probe: " + lines.error().detail).c_str());
  const auto line = std::find_if(lines->begin(), lines->end(),
                                 [](const ProbeLine& each) { return each.name == "destroys the throw-away keys of this probe"; });
  EXPECT_NE(line, lines->end());
  return line == lines->end() ? ProbeLine{} : *line;
}

TEST(StoredThrowAwayKeys, AreGoneAfterTheProbeAndAfterTheKnownAnswerCheck) {
  const auto token = token_that_stores();
  const auto before = token->object_count();
  ASSERT_TRUE(before);
  const auto line = word_about_keys(*token);
  EXPECT_TRUE(line.passed) << line.detail;
  EXPECT_FALSE(line.negative);
  EXPECT_EQ(*token->object_count(), *before);
  EXPECT_TRUE(token->check_health());
  EXPECT_EQ(*token->object_count(), *before);
}

TEST(StoredThrowAwayKeys, OfAProbeThatWasKilledAreDestroyedByTheNext) {
  const auto token = token_that_stores();
  const auto before = token->object_count();
  ASSERT_TRUE(before);
  {
    const testing::RawSession session;
    for (int key = 0; key < 20; ++key) (void)plant(session.handle(), CK_TRUE);
  }
  EXPECT_TRUE(word_about_keys(*token).passed);
  EXPECT_EQ(*token->object_count(), *before);
}

TEST(StoredThrowAwayKeys, ThatTheTokenKeepsAreToldWithTheirId) {
  const auto token = token_that_stores();
  const testing::RawSession session;
  const auto kept = plant(session.handle(), CK_FALSE);
  const auto line = word_about_keys(*token);
  EXPECT_FALSE(line.passed);
  EXPECT_EQ(line.detail, "1 or more stay, with CKA_ID intaglio-probe");
  // It stays for good; under another id it meets no other test.
  std::string name = "kept";
  CK_ATTRIBUTE change{CKA_ID, name.data(), name.size()};
  EXPECT_EQ(testing::raw_module().C_SetAttributeValue(session.handle(), kept, &change, 1), CKR_OK);
  EXPECT_TRUE(word_about_keys(*token).passed);
}

}  // namespace
}  // namespace intaglio::token
