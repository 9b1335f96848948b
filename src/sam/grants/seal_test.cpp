#include "sam/grants/seal.h"

#include <gtest/gtest.h>

#include "crypto/random.h"
#include "json/json.h"
#include "sam/grants/record.h"

namespace intaglio::sam {
namespace {

using json::Value;

const Value good = {{"grant", "AAECAwQFBgcICQoLDA0ODw"},
                    {"rid", "request-number-0001"},
                    {"suite", "ecdsa-sha256"},
                    {"dig", encode_base64url(Bytes(64, 7))}};

TEST(SealClaims, NameGrantRequestSuiteAndDigestsInOrder) {
  auto claims = good;
  Bytes joined(32, 1);
  append(joined, Bytes(32, 2));
  claims["dig"] = encode_base64url(joined);
  const auto parsed = parse_seal_claims(json::encode(claims));
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->grant, "AAECAwQFBgcICQoLDA0ODw");
  EXPECT_EQ(parsed->request, "request-number-0001");
  EXPECT_EQ(parsed->suite, crypto::SignatureSuite::ecdsa_sha256);
  EXPECT_EQ(parsed->digests, (std::vector<Bytes>{Bytes(32, 1), Bytes(32, 2)}));
}

TEST(SealClaims, HoldAThousandDigestsAndNotMoreThanACallTakes) {
  auto claims = good;
  claims["dig"] = encode_base64url(Bytes(32 * protocol::max_digests_per_call, 7));
  EXPECT_EQ(parse_seal_claims(json::encode(claims))->digests.size(), protocol::max_digests_per_call);
  claims["dig"] = encode_base64url(Bytes(32 * (protocol::max_digests_per_call + 1), 7));
  EXPECT_FALSE(parse_seal_claims(json::encode(claims)));
}

TEST(SealClaims, AreRefusedInEveryOtherForm) {
  EXPECT_TRUE(parse_seal_claims(json::encode(good)));
  for (const auto* member : {"grant", "rid", "suite", "dig"}) {
    auto claims = good;
    claims.erase(member);
    EXPECT_FALSE(parse_seal_claims(json::encode(claims))) << member;
    claims[member] = 7;
    EXPECT_FALSE(parse_seal_claims(json::encode(claims))) << member;
  }
  const std::vector<std::pair<const char*, Value>> wrong = {{"rid", "short"},
                                                            {"rid", std::string(65, 'r')},
                                                            {"rid", "with a space in it"},
                                                            {"grant", ""},
                                                            {"grant", "../../grants"},
                                                            {"suite", "none"},
                                                            {"dig", ""},
                                                            {"dig", encode_base64url(Bytes(33, 7))},
                                                            {"dig", "not base64url!"},
                                                            {"exp", 1}};
  for (const auto& [member, value] : wrong) {
    auto claims = good;
    claims[member] = value;
    EXPECT_FALSE(parse_seal_claims(json::encode(claims))) << member << " " << json::encode(value);
  }
  for (const auto* text : {"", "[]", "{}", "null", "{\"grant\":"}) EXPECT_FALSE(parse_seal_claims(text));
}

TEST(GrantRecord, IsReadBackAndNothingElseIs) {
  const GrantRecord grant{.id = "AAECAwQFBgcICQoLDA0ODw",
                          .transaction = {.purpose = protocol::Purpose::grant,
                                          .nonce = Bytes(16, 1),
                                          .epoch = 1,
                                          .expires = from_unix_seconds(1'795'000'000),
                                          .signer = "alice",
                                          .key = "key-1",
                                          .certificate_digest = Bytes(32, 2),
                                          .profile = "direct-resident",
                                          .hash = 0,
                                          .suites = {7},
                                          .client_id = "demo",
                                          .client_name = "Demo",
                                          .documents = {},
                                          .grant = protocol::GrantTerms{Bytes(91, 4), 1000, from_unix_seconds(1'796'000'000)}},
                          .consent = {},
                          .terms = {"terms", "1", "en"},
                          .act = "typed-yes",
                          .factors = {},
                          .made = from_unix_seconds(1'795'000'000),
                          .used = 7,
                          .ended = false};
  const auto encoded = encode(grant);
  const auto read = parse_grant(encoded);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(encode(*read), encoded);
  EXPECT_EQ(read->used, 7U);
  auto longer = encoded;
  append_field(longer, std::uint64_t{1});
  EXPECT_FALSE(parse_grant(longer));
  EXPECT_FALSE(parse_grant(ByteView(encoded).first(encoded.size() - 1)));
  auto signing = grant;
  signing.transaction.purpose = protocol::Purpose::suspend;
  signing.transaction.suites.clear();
  signing.transaction.grant.reset();
  EXPECT_FALSE(parse_grant(encode(signing)));
}

}  // namespace
}  // namespace intaglio::sam
