#include "ssa/csc/kept_answers.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;

constexpr const char* sign_hash = "/csc/v2/signatures/signHash";
constexpr const char* polling = "/csc/v2/signatures/signPolling";

class KeptAnswersTest : public testing::Test {
 protected:
  [[nodiscard]] http::Response ask(const json::Value& changes = json::Value::object()) const {
    auto body = test::World::sign_body("alice-rsa", sad, {"one"});
    body["operationMode"] = "A";
    body.update(changes);
    return world.post(sign_hash, body);
  }
  [[nodiscard]] std::string id_of(const http::Response& answer) const {
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.size(), 1U) << "no signature yet";
    return body.at("responseID").get<std::string>();
  }
  [[nodiscard]] http::Response poll(const json::Value& id, std::string_view client = "any") const {
    json::Value body = json::Value::object();
    body["requestID"] = id;
    return world.post(polling, body, client);
  }
  void expect_refused(const http::Response& answer, std::string_view description) const {
    EXPECT_EQ(answer.status, 400U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("error"), "invalid_request");
    EXPECT_EQ(body.at("error_description"), description);
  }
  test::World world;
  std::string sad = world.sad("alice-rsa", {"one", "one"});
};

TEST_F(KeptAnswersTest, GivesTheSignaturesAsOftenAsTheyAreAskedFor) {
  const auto id = id_of(ask());
  for (int i = 0; i < 2; ++i) {
    const auto answer = poll(id);
    ASSERT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("signatures"), json::Value::array({encode_base64(test::FakeSam::signature_of("alice-rsa", test::digest_of("one")))}));
    EXPECT_EQ(body.at("auditReceipts").size(), 1U);
    world.start();
  }
  EXPECT_EQ(world.sam->signs, 1U);
}

TEST_F(KeptAnswersTest, GivesThemToNoOtherClient) {
  const auto id = id_of(ask());
  for (const auto* other : {"waiting", "only-alice"}) expect_refused(poll(id, other), "Invalid parameter requestID");
  expect_refused(poll(id + "A"), "Invalid parameter requestID");
  EXPECT_EQ(poll(id).status, 200U);
}

TEST_F(KeptAnswersTest, GivesThemToNoTokenOfAnotherSigner) {
  const auto id = id_of(ask());
  const auto poll_for = [&](const std::string& signer) {
    json::Value body = json::Value::object();
    body["requestID"] = id;
    return world.send("POST", polling, json::encode(body), "Bearer " + world.token_of(signer));
  };
  expect_refused(poll_for("bob"), "Invalid parameter requestID");
  EXPECT_EQ(poll_for("alice").status, 200U);
}

TEST_F(KeptAnswersTest, KeepsThemForTheTimeThatWasAskedForOrAnHour) {
  const auto hour = id_of(ask());
  const auto minute = id_of(ask({{"validity_period", 60000}}));
  world.clock->advance(std::chrono::seconds{59});
  EXPECT_EQ(poll(minute).status, 200U);
  world.clock->advance(std::chrono::seconds{1});
  expect_refused(poll(minute), "Invalid parameter requestID");
  EXPECT_EQ(poll(hour).status, 200U);
  world.clock->advance(std::chrono::seconds{3540});
  expect_refused(poll(hour), "Invalid parameter requestID");
}

TEST_F(KeptAnswersTest, RefusesEveryRowOfTheTables) {
  expect_refused(ask({{"operationMode", "B"}}), "Invalid parameter operationMode");
  expect_refused(ask({{"operationMode", 5}}), "Invalid parameter operationMode");
  for (const auto& period : {json::Value("60000"), json::Value(1.5), json::Value(true)}) {
    expect_refused(ask({{"validity_period", period}}), "Invalid parameter validity_period");
  }
  for (const auto& period : {json::Value(0), json::Value(-1), json::Value(86400001)}) {
    expect_refused(ask({{"validity_period", period}}), "Out of bounds parameter validity_period");
  }
  expect_refused(ask({{"response_uri", "https://client.example/back"}}), "Invalid parameter response_uri");
  EXPECT_EQ(world.sam->signs, 0U);
  const auto id = id_of(ask());
  expect_refused(poll(nullptr), "Missing (or invalid type) string parameter requestID");
  expect_refused(poll(5), "Missing (or invalid type) string parameter requestID");
  const auto with_user = [&](const json::Value& user) { return world.post(polling, {{"requestID", id}, {"userID", user}}); };
  expect_refused(with_user("bob"), "Invalid parameter \"userID\"");
  expect_refused(with_user(5), "Invalid parameter \"userID\"");
  EXPECT_EQ(with_user("alice").status, 200U);
  expect_refused(world.post(polling, {{"requestID", id}, {"clientData", 5}}), "Invalid parameter clientData");
}

TEST_F(KeptAnswersTest, KeepsNothingInClear) {
  const auto id = id_of(ask());
  const auto signature = encode_base64(test::FakeSam::signature_of("alice-rsa", test::digest_of("one")));
  const auto read = world.database.get()->read([&](storage::Reader& reader) -> Status {
    return reader.query("SELECT id, answer FROM ssa_kept_answers", {}, [&](const storage::Row& row) {
      EXPECT_EQ(as_text(row.bytes(1)).find(signature), std::string_view::npos);
      EXPECT_NE(as_text(row.bytes(0)), id);
      return true;
    });
  });
  EXPECT_TRUE(read);
}

}  // namespace
}  // namespace intaglio::ssa::csc
