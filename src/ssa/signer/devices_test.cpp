#include "ssa/signer/devices.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using test::must;
using test::World;

constexpr const char* sessions = "/sic/v1/devices/sessions";
constexpr const char* waiting = "/sic/v1/devices/waiting";
constexpr const char* openings = "/sic/v1/devices/openings";

class DevicesTest : public testing::Test {
 protected:
  /// What an application that waits by a handle is told.
  json::Value ask(const std::string& credential, const std::string& text) const {
    const json::Value body{{"credentialID", credential},
                           {"numSignatures", 1},
                           {"hashes", json::Value::array({encode_base64(test::digest_of(text))})},
                           {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}};
    const auto answer = world.post("/csc/v2/credentials/authorize", body, "waiting");
    EXPECT_EQ(answer.status, 202U) << answer.body;
    return must(json::parse(answer.body));
  }
  http::Response sign_in(const std::string& request) const {
    return world.send("POST", sessions, json::encode(json::Value{{"request", request}}), "");
  }
  std::string device_of(const std::string& signer) {
    const auto answer = sign_in(signer + " asks " + std::to_string(++asked_));
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("expires_in"), 600);
    return "Bearer " + body.at("bearer").get<std::string>();
  }
  json::Value told(const std::string& device) const {
    const auto answer = world.send("POST", waiting, "{}", device);
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body)).at("approvals");
  }
  http::Response open(const std::string& device, const std::string& id) const {
    return world.send("POST", openings, json::encode(json::Value{{"id", id}}), device);
  }
  World world;
  int asked_ = 0;
};

TEST_F(DevicesTest, AreToldOfWhatWaitsForTheirSignerAndOpenItOnce) {
  const auto alices = device_of("alice"), bobs = device_of("bob");
  EXPECT_TRUE(told(alices).empty());
  const auto asked = ask("alice-rsa", "one");
  const auto list = told(alices);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list.at(0).at("documents").at(0).at("digest"), encode_base64url(test::digest_of("one")));
  EXPECT_EQ(list.at(0).at("documents").at(0).at("label"), "Document 1");
  EXPECT_TRUE(told(bobs).empty());
  const auto id = list.at(0).at("id").get<std::string>();
  EXPECT_EQ(open(bobs, id).status, 400U);
  const auto opened = open(alices, id);
  ASSERT_EQ(opened.status, 200U) << opened.body;
  const auto transaction = *parse_base64url(must(json::parse(opened.body)).at("transaction").get<std::string>());
  EXPECT_EQ(asked.at("comparison"), protocol::comparison_digits(transaction));
  EXPECT_EQ(open(alices, id).status, 400U);
  EXPECT_TRUE(told(alices).empty());
}

TEST_F(DevicesTest, AreNotToldOfWhatGoesThroughABrowser) {
  const auto device = device_of("alice");
  static_cast<void>(world.post("/sic/v1/documents", {{"credentialID", "alice-ec"}}, "waiting"));
  EXPECT_TRUE(told(device).empty());
}

TEST_F(DevicesTest, AreToldOfTheNewestEightAndOfNothingThatIsOver) {
  const auto device = device_of("alice");
  for (std::size_t i = 0; i < oauth::PendingRequests::max_told + 2; ++i) {
    static_cast<void>(ask("alice-rsa", std::to_string(i)));
    world.clock->advance(std::chrono::seconds{1});
  }
  const auto list = told(device);
  ASSERT_EQ(list.size(), oauth::PendingRequests::max_told);
  EXPECT_EQ(list.at(0).at("documents").at(0).at("digest"), encode_base64url(test::digest_of("9")));
  const auto id = list.at(0).at("id").get<std::string>();
  world.clock->advance(std::chrono::seconds{300});
  EXPECT_TRUE(told(device).empty());
  EXPECT_EQ(open(device, id).status, 400U);
}

TEST_F(DevicesTest, AreKnownForTenMinutesAndEightOfASignerAtATime) {
  const auto first = device_of("alice");
  for (int i = 0; i < 8; ++i) {
    world.clock->advance(std::chrono::seconds{1});
    static_cast<void>(device_of("alice"));
  }
  EXPECT_EQ(world.send("POST", waiting, "{}", first).status, 401U) << "the oldest gives way";
  const auto last = device_of("alice");
  const auto bobs = device_of("bob");
  world.clock->advance(std::chrono::seconds{599});
  EXPECT_EQ(world.send("POST", waiting, "{}", last).status, 200U);
  EXPECT_EQ(world.send("POST", waiting, "{}", bobs).status, 200U);
  world.clock->advance(std::chrono::seconds{1});
  EXPECT_EQ(world.send("POST", waiting, "{}", last).status, 401U);
}

TEST_F(DevicesTest, AreShownNothingWhenTheSamDoesNotRecogniseThem) {
  EXPECT_EQ(sign_in("nobody").status, 400U);
  EXPECT_EQ(sign_in("alice asks once").status, 200U);
  EXPECT_EQ(sign_in("alice asks once").status, 400U);
  world.sam->failure = Error{ErrorCode::clock_unsynchronised, "the clock"};
  EXPECT_EQ(sign_in("alice asks again").status, 503U);
  world.sam->failure.reset();
  EXPECT_EQ(world.send("POST", waiting, "{}", "").status, 400U);
  EXPECT_EQ(world.send("POST", waiting, "{}", "Bearer AAAA").status, 401U);
  EXPECT_EQ(world.post(waiting, json::Value::object()).status, 401U) << "an application is no device";
  const auto device = device_of("alice");
  EXPECT_EQ(world.send("POST", "/csc/v2/credentials/list", "{}", device).status, 401U) << "a device is no application";
  EXPECT_EQ(world.send("POST", "/sic/v1/approvals/refusals", "{}", device).status, 401U) << "nor the page of an approval";
}

TEST_F(DevicesTest, OfOneAddressShowThemselvesSoOftenInAMinuteAndNoMore) {
  for (std::size_t i = 0; i < Devices::sign_ins.each; ++i) EXPECT_EQ(sign_in("nobody").status, 400U);
  const auto before = world.sam->device_requests.size();
  EXPECT_EQ(sign_in("alice asks").status, 429U);
  EXPECT_EQ(world.sam->device_requests.size(), before) << "the SAM is not asked";
  world.clock->advance(std::chrono::seconds{60});
  EXPECT_EQ(sign_in("alice asks").status, 200U);
}

TEST_F(DevicesTest, WaitAsLongAsTheyMayAndNoLonger) {
  const auto device = device_of("alice");
  for (const auto* wrong : {"-1", "11", "1.5", "\"1\"", "null", "true", "18446744073709551615"}) {
    const auto answer = world.send("POST", waiting, R"({"wait":)" + std::string(wrong) + "}", device);
    EXPECT_EQ(answer.status, std::string_view(wrong) == "null" ? 200U : 400U) << wrong;
  }
  static_cast<void>(ask("alice-rsa", "one"));
  EXPECT_EQ(must(json::parse(world.send("POST", waiting, R"({"wait":10})", device).body)).at("approvals").size(), 1U);
}

}  // namespace
}  // namespace intaglio::ssa::signer
