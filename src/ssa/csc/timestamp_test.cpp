#include "ssa/csc/timestamp.h"

#include <gtest/gtest.h>

#include "crypto/timestamp.h"
#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;

constexpr const char* sha256_oid = "2.16.840.1.101.3.4.2.1";

/// A service with a time-stamping authority of our own, which answers what a test lets it answer.
class TimestampTest : public testing::Test {
 protected:
  TimestampTest() {
    world.ask_tsa = [this](ByteView query) -> Result<Bytes> {
      auto asked = must(crypto::parse_timestamp_request(query));
      EXPECT_TRUE(asked.certificate_requested);
      if (change) change(asked);
      return answer ? *answer : Result<Bytes>(granted(asked));
    };
    world.start();
  }
  [[nodiscard]] Bytes granted(const crypto::TimestampRequest& asked) const {
    const auto unit = must(crypto::Certificate::parse_der(test::make_certificate("Clock", "TSU", world.clock->now() - std::chrono::hours{1},
                                                                                 world.clock->now() + std::chrono::hours{1}, key)));
    const auto info =
        crypto::encode_timestamp_info({"1.2.3.4", asked.imprint_der, Bytes{1, 2, 3}, std::chrono::seconds{unix_seconds(world.clock->now())},
                                       std::chrono::milliseconds{1000}, asked.nonce_der, false});
    const auto attributes = crypto::timestamp_attributes(info, crypto::HashAlgorithm::sha256, unit);
    const auto signature = must(key->sign(crypto::SignatureSuite::ecdsa_sha256, attributes));
    return crypto::timestamp_granted(info, attributes, crypto::SignatureSuite::ecdsa_sha256, signature, unit, {unit});
  }
  [[nodiscard]] static json::Value right() {
    return {{"hash", encode_base64(test::digest_of("one"))}, {"hashAlgo", sha256_oid}, {"nonce", "1f3"}};
  }
  [[nodiscard]] http::Response post(const json::Value& body) const { return world.post("/csc/v2/signatures/timestamp", body); }
  void expect_refused(const http::Response& response, std::string_view description, unsigned status = 400) const {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(must(json::parse(response.body)).at("error_description"), description);
  }

  std::shared_ptr<crypto::SoftwareKey> key = must(crypto::SoftwareKey::generate());
  std::function<void(crypto::TimestampRequest&)> change;
  std::optional<Result<Bytes>> answer;
  test::World world;
};

TEST_F(TimestampTest, GivesTheTokenOfTheAuthorityInBothVersions) {
  crypto::TimestampRequest seen;
  change = [&](crypto::TimestampRequest& asked) { seen = asked; };
  for (const auto* path : {"/csc/v1/signatures/timestamp", "/csc/v2/signatures/timestamp"}) {
    const auto response = world.post(path, right());
    ASSERT_EQ(response.status, 200U) << response.body;
    const auto token = must(parse_base64(must(json::parse(response.body)).at("timestamp").get<std::string>()));
    EXPECT_FALSE(token.empty());
    EXPECT_EQ(seen.hashed_message, test::digest_of("one"));
    EXPECT_EQ(seen.hash_oid, sha256_oid);
    EXPECT_EQ(seen.nonce_der, (Bytes{0x02, 0x02, 0x01, 0xF3}));
  }
  auto body = right();
  body.erase("nonce");
  EXPECT_EQ(post(body).status, 200U);
  EXPECT_NE(must(json::parse(world.send("POST", "/csc/v2/info", "", "").body)).at("methods").dump().find("signatures/timestamp"),
            std::string::npos);
}

TEST_F(TimestampTest, RefusesEveryRowOfTheTable) {
  const auto changed = [&](const char* name, const json::Value& value) {
    auto body = right();
    body[name] = value;
    return post(body);
  };
  expect_refused(changed("hash", nullptr), "Missing (or invalid type) string parameter hash");
  expect_refused(changed("hash", 5), "Missing (or invalid type) string parameter hash");
  expect_refused(changed("hash", ""), "Empty hash parameter");
  expect_refused(changed("hash", "AAAA"), "Invalid digest value length");
  expect_refused(changed("hash", encode_base64(Bytes(48))), "Invalid digest value length");
  expect_refused(changed("hash", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="), "Invalid Base64 hash string parameter");
  for (const auto& oid : {json::Value(nullptr), json::Value("1.2.3"), json::Value(5)}) {
    expect_refused(changed("hashAlgo", oid), "Invalid parameter hashAlgo");
  }
  for (const auto& nonce : {json::Value(""), json::Value("xyz"), json::Value(5), json::Value(std::string(65, '1'))}) {
    expect_refused(changed("nonce", nonce), "Invalid parameter nonce");
  }
  expect_refused(changed("clientData", 5), "Invalid parameter clientData");
  EXPECT_EQ(world.send("POST", "/csc/v2/signatures/timestamp", "{}", "").status, 400U);
  EXPECT_EQ(world.send("POST", "/csc/v2/signatures/timestamp", "{}", "Bearer x").status, 401U);
}

TEST_F(TimestampTest, PassesOnNoTimestampOfSomethingElse) {
  change = [](crypto::TimestampRequest& asked) {
    asked.imprint_der = must(crypto::parse_timestamp_request(
                                 must(crypto::make_timestamp_request(crypto::HashAlgorithm::sha256, test::digest_of("two"), "", {}, true))))
                            .imprint_der;
  };
  expect_refused(post(right()), "The service met an unexpected condition", 500);
}

TEST_F(TimestampTest, PassesOnNoTimestampWithAnotherNonce) {
  change = [](crypto::TimestampRequest& asked) { asked.nonce_der = Bytes{0x02, 0x01, 0x01}; };
  expect_refused(post(right()), "The service met an unexpected condition", 500);
}

TEST_F(TimestampTest, IsUnavailableWhenTheAuthorityIs) {
  constexpr const char* text = "The service is temporarily unavailable";
  answer = Result<Bytes>(Error{ErrorCode::busy, "not reached"});
  expect_refused(post(right()), text, 503);
  answer = Result<Bytes>(to_bytes("rubbish"));
  expect_refused(post(right()), text, 503);
  answer = Result<Bytes>(crypto::timestamp_rejection(crypto::TimestampFailure::time_not_available, "no clock"));
  expect_refused(post(right()), text, 503);
}

TEST_F(TimestampTest, IsNotImplementedWithoutAnAuthority) {
  world.ask_tsa = {};
  world.start();
  for (const auto* path : {"/csc/v1/signatures/timestamp", "/csc/v2/signatures/timestamp"}) {
    expect_refused(world.post(path, right()), "The method is not implemented", 501);
  }
}

}  // namespace
}  // namespace intaglio::ssa::csc
