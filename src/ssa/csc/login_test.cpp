#include "ssa/csc/login.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;
using test::World;

class LoginTest : public testing::Test {
 protected:
  [[nodiscard]] static std::string basic(const std::string& text) { return "Basic " + encode_base64(as_bytes(text)); }
  [[nodiscard]] std::string right() const { return basic("old:" + world.old_secret); }
  [[nodiscard]] http::Response login(const std::string& authorization, const std::string& body = "",
                                     const std::string& version = "v2") const {
    return world.send("POST", "/csc/" + version + "/auth/login", body, authorization);
  }
  [[nodiscard]] std::string token() const {
    const auto answer = login(right());
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body)).at("access_token").get<std::string>();
  }
  [[nodiscard]] http::Response revoke(const json::Value& body, const std::string& with) const {
    return world.send("POST", "/csc/v2/auth/revoke", json::encode(body), "Bearer " + with);
  }
  [[nodiscard]] unsigned list_with(const std::string& with) const {
    return world.send("POST", "/csc/v2/credentials/list", R"({"userID":"alice"})", "Bearer " + with).status;
  }
  static void expect_refused(const http::Response& answer, const std::string& description, unsigned status = 400,
                             const std::string& error = "invalid_request") {
    EXPECT_EQ(answer.status, status) << answer.body;
    const auto told = must(json::parse(answer.body));
    EXPECT_EQ(told.at("error"), error);
    EXPECT_EQ(told.at("error_description"), description);
  }

  World world;
};

TEST_F(LoginTest, GivesAClientThatIsRegisteredForItATokenOfTheService) {
  for (const std::string version : {"v1", "v2"}) {
    for (const std::string body : {"", "{}", R"({"rememberMe":true,"refresh_token":null,"clientData":"x","more":1})"}) {
      const auto answer = login(right(), body, version);
      ASSERT_EQ(answer.status, 200U) << answer.body;
      const auto told = must(json::parse(answer.body));
      EXPECT_EQ(told.at("expires_in"), 3600);
      EXPECT_FALSE(told.contains("refresh_token"));
      EXPECT_EQ(list_with(told.at("access_token").get<std::string>()), 200U);
    }
  }
}

TEST_F(LoginTest, RefusesInTheWordsOfTheStandard) {
  struct Case {
    const char* what;
    std::string authorization, body;
    unsigned status;
    const char* error;
    const char* description;
  };
  const std::vector<Case> cases = {
      {"no header", "", "", 401, "invalid_request", "Malformed authentication parameter."},
      {"another scheme", "Digest x", "", 401, "invalid_request", "Malformed authentication parameter."},
      {"a bearer token", "Bearer " + world.token(), "", 401, "invalid_request", "Malformed authentication parameter."},
      {"no base64", "Basic *", "", 400, "invalid_request", "Malformed username-password."},
      {"no colon", basic("old"), "", 400, "invalid_request", "Malformed username-password."},
      {"a wrong secret", basic("old:guess"), "", 400, "authentication_error", "An error occurred during authentication process"},
      {"an unknown user", basic("nobody:guess"), "", 400, "authentication_error", "An error occurred during authentication process"},
      {"a client that is not for it", basic("any:guess"), "", 400, "authentication_error",
       "An error occurred during authentication process"},
      {"a refresh token that is a number", right(), R"({"refresh_token":5})", 400, "invalid_request",
       "Invalid string parameter: refresh_token"},
      {"an unknown refresh token", right(), R"({"refresh_token":"x"})", 400, "invalid_request", "Invalid refresh_token"},
      {"an unknown refresh token and no header", "", R"({"refresh_token":"x"})", 400, "invalid_request", "Invalid refresh_token"},
      {"rememberMe is a number", right(), R"({"rememberMe":5})", 400, "invalid_request", "Invalid parameter rememberMe"},
      {"clientData is a list", right(), R"({"clientData":[]})", 400, "invalid_request", "Invalid parameter clientData"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.what);
    expect_refused(login(one.authorization, one.body), one.description, one.status, one.error);
  }
}

TEST_F(LoginTest, ASecretIsOfNoUseHereToAClientThatIsNotForIt) {
  auto made = must(oauth::make_client_secret());
  const auto secret = std::string(as_text(made.secret.reveal()));
  world.clients = std::make_shared<const oauth::Clients>(must(oauth::Clients::make(
      {world.old_client(), oauth::Client{must(ClientId::parse("new")), "New", std::nullopt, std::move(made.hash), {}}})));
  world.start();
  expect_refused(login(basic("new:" + secret)), "An error occurred during authentication process", 400, "authentication_error");
  EXPECT_EQ(login(right()).status, 200U);
}

TEST_F(LoginTest, IsNotOfferedWithoutAClientForIt) {
  world.clients = std::make_shared<const oauth::Clients>(must(oauth::Clients::make({world.any_client.registered()})));
  world.start();
  for (const std::string path : {"/csc/v1/auth/login", "/csc/v2/auth/login", "/csc/v1/auth/revoke", "/csc/v2/auth/revoke"}) {
    expect_refused(world.send("POST", path, "{}", right()), "The method is not implemented", 501, "not_implemented");
  }
}

TEST_F(LoginTest, InfoNamesItWhereItIsOffered) {
  const auto told = [](bool offered) {
    ServiceDescription description;
    description.with_login = offered;
    return must(json::parse(Info(description).answer({}).body));
  };
  const auto with = told(true);
  const auto without = told(false);
  const auto holds = [](const json::Value& array, const std::string& text) {
    return std::find(array.begin(), array.end(), json::Value(text)) != array.end();
  };
  EXPECT_TRUE(holds(with.at("authType"), "basic"));
  EXPECT_TRUE(holds(with.at("methods"), "auth/login"));
  EXPECT_TRUE(holds(with.at("methods"), "auth/revoke"));
  EXPECT_FALSE(holds(without.at("authType"), "basic"));
  EXPECT_FALSE(holds(without.at("methods"), "auth/login"));
}

TEST_F(LoginTest, RevokesATokenAtOnceAndWithItNoOther) {
  const auto first = token();
  const auto second = token();
  const auto answer = revoke({{"token", first}, {"token_type_hint", "access_token"}}, second);
  EXPECT_EQ(answer.status, 204U) << answer.body;
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(list_with(first), 401U);
  EXPECT_EQ(list_with(second), 200U);
  EXPECT_EQ(revoke({{"token", second}}, second).status, 204U);
  EXPECT_EQ(list_with(second), 401U);
}

TEST_F(LoginTest, RevokesNothingOfOthersAndRefusesInTheWordsOfTheStandard) {
  const auto own = token();
  const auto foreign = world.token("any");
  expect_refused(revoke({{"token", foreign}}, own), "Invalid string parameter token");
  EXPECT_EQ(list_with(foreign), 200U);
  expect_refused(revoke({{"token", "nonsense"}}, own), "Invalid string parameter token");
  expect_refused(revoke(json::Value::object(), own), "Missing (or invalid type) string parameter token");
  expect_refused(revoke({{"token", 5}}, own), "Missing (or invalid type) string parameter token");
  expect_refused(revoke({{"token", own}, {"token_type_hint", "other"}}, own), "Invalid string parameter token_type_hint");
  expect_refused(revoke({{"token", own}, {"token_type_hint", 5}}, own), "Invalid string parameter token_type_hint");
  expect_refused(revoke({{"token", own}, {"clientData", 5}}, own), "Invalid parameter clientData");
  expect_refused(world.send("POST", "/csc/v2/auth/revoke", "{}", ""), "Malformed authorization header.");
  EXPECT_EQ(list_with(own), 200U);
}

}  // namespace
}  // namespace intaglio::ssa::csc
