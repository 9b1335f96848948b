#include "token/hsm_profile.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "token/detail/ckr.h"
#include "token/detail/test_support.h"

namespace intaglio::token {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::code_of;

const std::filesystem::path folder = std::filesystem::path(INTAGLIO_SOURCE_DIR) / "deploy/hsm-profiles";

std::string text_of(const char* name) {
  const auto text = read_file(folder / (std::string(name) + ".json"), 1 << 16);
  return text ? std::string(as_text(*text)) : std::string();
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TokenConfig config_with(HsmProfile profile) {
  auto config = testing::config_of();
  config.profile = std::make_shared<const HsmProfile>(std::move(profile));
  return config;
}

TEST(HsmProfileFile, OfEachKindInTheFolderIsReadAndCarriesItsName) {
  unsigned count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto profile = load_hsm_profile(entry.path());
    ASSERT_TRUE(profile) << profile.error().detail;
    EXPECT_EQ((*profile)->name, entry.path().stem());
    EXPECT_FALSE((*profile)->key_algorithms.empty());
    EXPECT_FALSE((*profile)->documents.empty());
    ++count;
  }
  EXPECT_EQ(count, 8U);
}

TEST(HsmProfileFile, WithAnUnknownMemberIsRefusedWithItsNameAndTheKnownOnes) {
  const auto profile = parse_hsm_profile(with(text_of("softhsm2"), "\"ec_point\"", "\"ec_points\""));
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().code, ErrorCode::configuration);
  EXPECT_NE(profile.error().detail.find("\"ec_points\""), std::string::npos) << profile.error().detail;
  EXPECT_NE(profile.error().detail.find("ec_point, ecdsa_signature"), std::string::npos) << profile.error().detail;
}

TEST(HsmProfileFile, WithAnythingElseBesideItsMembersIsRefusedAsWell) {
  EXPECT_EQ(code_of(parse_hsm_profile(with(text_of("softhsm2"), "{", "{\"wrap_anything\": true,"))), ErrorCode::configuration);
}

TEST(HsmProfileFile, NeedsEveryMemberAndEachInItsBounds) {
  const auto good = text_of("softhsm2");
  EXPECT_TRUE(parse_hsm_profile(good));
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"service_keys\": true,", ""},
                                                        {"\"service_keys\": true", "\"service_keys\": 1"},
                                                        {"\"call_seconds\": 10", "\"call_seconds\": 0"},
                                                        {"\"max_sessions\": 1024", "\"max_sessions\": 1025"},
                                                        {"\"octet-string\"", "\"compressed\""},
                                                        {"\"r-s\"", "\"der\""},
                                                        {"\"p256\"", "\"p255\""},
                                                        {"\"p256\"", "\"p384\""},
                                                        {"\"CKM_ECDSA\"", "\"CKM_ECDSA_SHA1\""},
                                                        {"\"CKR_KEY_HANDLE_INVALID\"", "\"CKR_OK\""},
                                                        {"\"CKR_KEY_HANDLE_INVALID\"", "\"CKR_CANCEL\""},
                                                        {"\"CKR_KEY_HANDLE_INVALID\"", "\"CKR_VENDOR_DEFINED\""}}) {
    EXPECT_EQ(code_of(parse_hsm_profile(with(good, from, to))), ErrorCode::configuration) << from << " -> " << to;
  }
}

TEST(HsmProfileFile, CannotWaiveAnAttributeThatMakesAKeySafe) {
  const auto text = text_of("opencryptoki");
  for (const char* attribute : {"CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_SIGN", "CKA_PRIVATE"})
    EXPECT_EQ(code_of(parse_hsm_profile(with(text, "CKA_COPYABLE", attribute))), ErrorCode::configuration) << attribute;
}

TEST(HsmProfile, TakesAlgorithmsAndPurposesAwayBeforeTheTokenIsAsked) {
  auto profile = any_hsm_profile();
  profile.key_algorithms = {KeyAlgorithm::p256};
  profile.service_keys = false;
  const auto token = Token::open(config_with(profile));
  ASSERT_TRUE(token) << token.error().detail;
  EXPECT_EQ(code_of((*token)->generate_signer_key(KeyAlgorithm::p384, testing::fresh_id(), "no")), ErrorCode::unsupported);
  const auto service = (*token)->generate_service_key(KeyPurpose::hmac, testing::fresh_id(), "no");
  EXPECT_EQ(code_of(service), ErrorCode::unsupported);
  EXPECT_EQ(testing::count_of(**token, "C_GenerateKeyPair", ""), 0U);
  EXPECT_EQ(testing::count_of(**token, "C_GenerateKey", ""), 0U);
  EXPECT_FALSE((*token)->check_algorithm(KeyAlgorithm::p384));
  EXPECT_TRUE((*token)->check_algorithm(KeyAlgorithm::p256));
}

TEST(HsmProfile, TakesMechanismsAwayAndTheRefusalIsDefinite) {
  auto profile = any_hsm_profile();
  profile.signature_mechanisms = {CKM_RSA_PKCS_PSS};
  const auto token = Token::open(config_with(profile));
  ASSERT_TRUE(token) << token.error().detail;
  const auto key = (*token)->generate_signer_key(KeyAlgorithm::p256, testing::fresh_id(), "mechanism");
  ASSERT_TRUE(key) << key.error().detail;
  const auto outcome = (*token)->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, testing::sample_digest(32));
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::algorithm_refused);
  EXPECT_EQ((*token)->signer_signatures(), 0U);
  EXPECT_TRUE((*token)->destroy(*key));
}

TEST(HsmProfile, BoundsSessionsAndPatience) {
  auto profile = any_hsm_profile();
  profile.max_sessions = 2;
  EXPECT_EQ(code_of(Token::open(config_with(profile))), ErrorCode::configuration);
  profile.max_sessions = 64;
  profile.call = std::chrono::seconds(30);
  EXPECT_EQ(code_of(Token::open(config_with(profile))), ErrorCode::configuration);
}

TEST(HsmProfile, ThatCallsFlagsNotesDoesNotTalkATokenThatWrapsOutOfItsTests) {
  auto profile = any_hsm_profile();
  profile.flags_bind = false;
  const auto token = Token::open(config_with(profile));
  ASSERT_TRUE(token) << token.error().detail;
  const auto lines = probe(**token, true);
  ASSERT_TRUE(lines) << lines.error().detail;
  const auto line =
      std::find_if(lines->begin(), lines->end(), [](const ProbeLine& each) { return each.name == "refuses to wrap any key at all"; });
  ASSERT_NE(line, lines->end());
  EXPECT_TRUE(line->negative);
  EXPECT_FALSE(line->passed) << line->detail;
}

TEST(HsmProfileFile, ThatServesNothingOrContradictsItselfIsRefused) {
  const auto good = text_of("opencryptoki");
  const auto emptied = [&](const std::string& member) {
    const auto at = good.find("\"" + member + "\": [");
    const auto begin = good.find('[', at), end = good.find(']', at);
    return good.substr(0, begin + 1) + good.substr(end);
  };
  for (const char* member : {"documents", "key_algorithms", "signature_mechanisms"}) {
    const auto profile = parse_hsm_profile(emptied(member));
    ASSERT_FALSE(profile) << member;
    EXPECT_NE(profile.error().detail.find(member), std::string::npos) << profile.error().detail;
  }
  EXPECT_EQ(code_of(parse_hsm_profile(with(good, "\"service_keys\": false", "\"service_keys\": true"))), ErrorCode::configuration);
}

TEST(HsmProfile, SaysWhichRefusalsOfTheTokenAreDefinite) {
  for (const bool definite : {true, false}) {
    auto profile = any_hsm_profile();
    if (!definite) std::erase(profile.definite_refusals, CKR_KEY_HANDLE_INVALID);
    if (!definite) std::erase(profile.definite_refusals, CKR_OBJECT_HANDLE_INVALID);
    auto token = Token::open(config_with(profile));
    ASSERT_TRUE(token) << token.error().detail;
    const auto id = testing::fresh_id();
    const auto key = (*token)->generate_signer_key(KeyAlgorithm::p256, id, "gone");
    ASSERT_TRUE(key) << key.error().detail;
    {
      const testing::RawSession session;
      const auto object = testing::raw_find(session.handle(), CKO_PRIVATE_KEY, id);
      ASSERT_EQ(testing::raw_module().C_DestroyObject(session.handle(), object), CKR_OK);
    }
    const auto outcome = (*token)->sign_for_activation(*key, SignatureSuite::ecdsa_sha256, testing::sample_digest(32));
    ASSERT_TRUE(outcome.refusal);
    EXPECT_EQ(outcome.refusal->definite, definite) << outcome.refusal->error.detail;
  }
}

}  // namespace
}  // namespace intaglio::token
