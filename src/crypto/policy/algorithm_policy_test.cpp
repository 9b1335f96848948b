#include "crypto/policy/algorithm_policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"

namespace intaglio::crypto {
namespace {

AlgorithmPolicy shipped() {
  const auto text = read_file(INTAGLIO_SOURCE_DIR "/deploy/policies/algorithms-2026.json", 65536);
  return *AlgorithmPolicy::parse(as_text(*text));
}
UnixTime at(std::string_view time) { return *parse_utc(time); }

TEST(AlgorithmPolicy, LetsRsa2048BeUsedButNotGeneratedAnyMore) {
  const auto policy = shipped();
  EXPECT_EQ(policy.id(), "algorithms-2026");
  EXPECT_TRUE(policy.may_generate(KeyAlgorithm::rsa2048, at("2025-12-31T23:59:59Z")));
  EXPECT_EQ(policy.may_generate(KeyAlgorithm::rsa2048, at("2026-01-01T00:00:00Z")).error().code, ErrorCode::algorithm_refused);
  EXPECT_TRUE(policy.may_certify(KeyAlgorithm::rsa2048, at("2026-12-31T23:59:59Z")));
  EXPECT_FALSE(policy.may_certify(KeyAlgorithm::rsa2048, at("2027-01-01T00:00:00Z")));
  EXPECT_TRUE(policy.may_sign(KeyAlgorithm::rsa2048, SignatureSuite::rsa_pss_sha256, at("2028-12-31T23:59:59Z")));
  EXPECT_FALSE(policy.may_sign(KeyAlgorithm::rsa2048, SignatureSuite::rsa_pss_sha256, at("2029-01-01T00:00:00Z")));
}

TEST(AlgorithmPolicy, EndsEachSuiteByItself) {
  const auto policy = shipped();
  EXPECT_TRUE(policy.may_sign(KeyAlgorithm::rsa3072, SignatureSuite::rsa_pkcs1_sha256, at("2028-12-31T23:59:59Z")));
  EXPECT_FALSE(policy.may_sign(KeyAlgorithm::rsa3072, SignatureSuite::rsa_pkcs1_sha256, at("2029-01-01T00:00:00Z")));
  EXPECT_TRUE(policy.may_sign(KeyAlgorithm::rsa3072, SignatureSuite::rsa_pss_sha256, at("2029-01-01T00:00:00Z")));
  EXPECT_FALSE(policy.may_sign(KeyAlgorithm::rsa3072, SignatureSuite::rsa_pss_sha256, at("2031-01-01T00:00:00Z")));
  EXPECT_EQ(policy.suites_for(KeyAlgorithm::rsa3072, at("2026-06-01T00:00:00Z")).size(), 6U);
  EXPECT_EQ(policy.suites_for(KeyAlgorithm::rsa3072, at("2029-06-01T00:00:00Z")).size(), 3U);
  EXPECT_EQ(policy.suites_for(KeyAlgorithm::p256, at("2026-06-01T00:00:00Z")), std::vector{SignatureSuite::ecdsa_sha256});
  EXPECT_TRUE(policy.suites_for(KeyAlgorithm::p256, at("2031-06-01T00:00:00Z")).empty());
}

TEST(AlgorithmPolicy, RefusesASuiteThatDoesNotFitTheKey) {
  EXPECT_FALSE(shipped().may_sign(KeyAlgorithm::p256, SignatureSuite::ecdsa_sha512, at("2026-06-01T00:00:00Z")));
  EXPECT_FALSE(shipped().may_sign(KeyAlgorithm::p256, SignatureSuite::rsa_pss_sha256, at("2026-06-01T00:00:00Z")));
}

TEST(AlgorithmPolicy, RefusesWhatIsNotListed) {
  const auto policy = *AlgorithmPolicy::parse(
      R"({"id":"x","keys":[{"algorithm":"rsa3072","generate_until":"2030-01-01T00:00:00Z","certify_until":"2030-01-01T00:00:00Z","sign_until":"2030-01-01T00:00:00Z"}],
          "suites":[{"suite":"rsa-pss-sha256","sign_until":"2030-01-01T00:00:00Z"}]})");
  const auto now = at("2026-06-01T00:00:00Z");
  EXPECT_TRUE(policy.may_sign(KeyAlgorithm::rsa3072, SignatureSuite::rsa_pss_sha256, now));
  EXPECT_FALSE(policy.may_sign(KeyAlgorithm::rsa3072, SignatureSuite::rsa_pss_sha512, now));
  EXPECT_FALSE(policy.may_sign(KeyAlgorithm::rsa4096, SignatureSuite::rsa_pss_sha256, now));
  EXPECT_FALSE(policy.may_generate(KeyAlgorithm::p256, now));
  EXPECT_FALSE(policy.may_certify(KeyAlgorithm::p256, now));
}

TEST(AlgorithmPolicy, IsRefusedWhenAnythingInItIsOdd) {
  const std::string key =
      R"({"algorithm":"p256","generate_until":"2030-01-01T00:00:00Z","certify_until":"2030-01-01T00:00:00Z","sign_until":"2030-01-01T00:00:00Z"})";
  const std::string suite = R"({"suite":"ecdsa-sha256","sign_until":"2030-01-01T00:00:00Z"})";
  const auto document = [](const std::string& keys, const std::string& suites) {
    return R"({"id":"x","keys":[)" + keys + R"(],"suites":[)" + suites + "]}";
  };
  EXPECT_TRUE(AlgorithmPolicy::parse(document(key, suite)));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(key + "," + key, suite)));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(key, suite + "," + suite)));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(key, R"({"suite":"ecdsa-sha1","sign_until":"2030-01-01T00:00:00Z"})")));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(key, R"({"suite":"ecdsa-sha256","sign_until":"2030"})")));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(key, R"({"suite":"ecdsa-sha256"})")));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(key, R"({"suite":"ecdsa-sha256","sign_untl":"2030-01-01T00:00:00Z"})")));
  EXPECT_FALSE(AlgorithmPolicy::parse(document(R"("p256")", suite)));
  EXPECT_FALSE(AlgorithmPolicy::parse(R"({"id":"x","keys":{},"suites":[]})"));
  EXPECT_FALSE(AlgorithmPolicy::parse("[]"));
  EXPECT_EQ(AlgorithmPolicy::parse("").error().code, ErrorCode::configuration);
}

}  // namespace
}  // namespace intaglio::crypto
