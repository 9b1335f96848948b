#include "ssa/limits.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa {
namespace {

using namespace std::chrono_literals;
using oauth::test::must;
using test::digest_of;
using test::World;

constexpr const char* challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A service whose limits are those that a test sets before it begins. The clock stands still.
class LimitsOfRequests : public testing::Test {
 protected:
  void begin(const LimitsConfig& limits) {
    world.limits = limits;
    world.start();
  }
  struct From {
    std::string address = "192.0.2.1";
    std::string authorization;
    std::string content_type = "application/json";
  };
  [[nodiscard]] http::Response send(const std::string& method, const std::string& target, const std::string& body, const From& from) const {
    http::Request request;
    request.method = method;
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = target.substr(question + 1);
    request.headers["content-type"] = from.content_type;
    if (!from.authorization.empty()) request.headers["authorization"] = from.authorization;
    request.body = body;
    request.peer_address = from.address;
    request.request_id = "r";
    return world.router->dispatch(request);
  }
  [[nodiscard]] unsigned info_from(const std::string& address) const { return send("POST", "/csc/v2/info", "", {address, {}}).status; }
  [[nodiscard]] std::string bearer(std::string_view client = "any") const { return "Bearer " + world.token(client); }
  [[nodiscard]] static std::string parameters(const std::string& credential) {
    auto one = json::Value::object();
    one["type"] = "credential";
    one["credentialID"] = credential;
    one["hashAlgorithmOID"] = "2.16.840.1.101.3.4.2.1";
    one["documentDigests"] = json::Value::array({{{"hash", encode_base64(digest_of("one"))}, {"label", "one"}}});
    return std::string("response_type=code&client_id=any&code_challenge_method=S256&code_challenge=") + challenge +
           "&authorization_details=" + oauth::encode_form_value(json::encode(json::Value::array({one})));
  }
  /// GET oauth2/authorize, by somebody who only knows the client's name.
  [[nodiscard]] http::Response start(const std::string& credential, const std::string& address = "192.0.2.1") const {
    return send("GET", "/csc/v2/oauth2/authorize?" + parameters(credential), "", {address, {}});
  }
  [[nodiscard]] std::string proof() const {
    const auto assertion = world.any_client.sign(world.any_client.claims(World::base_url, world.clock->now(), must(crypto::random_id())));
    return "&client_id=any&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" +
           assertion;
  }
  [[nodiscard]] http::Response ask_for_token(const std::string& more) const {
    return send("POST", "/csc/v2/oauth2/token", "grant_type=client_credentials" + more,
                {"192.0.2.1", {}, "application/x-www-form-urlencoded"});
  }
  /// The same, with a request that the client pushed.
  [[nodiscard]] http::Response start_pushed(const std::string& credential) const {
    auto body = parameters(credential);
    body.replace(body.find("&client_id=any"), std::string_view("&client_id=any").size(), "");
    const auto kept =
        send("POST", "/csc/v2/oauth2/pushed_authorize", body + proof(), {"192.0.2.1", {}, "application/x-www-form-urlencoded"});
    EXPECT_EQ(kept.status, 201U) << kept.body;
    const auto reference = must(json::parse(kept.body)).at("request_uri").get<std::string>();
    return send("GET", "/csc/v2/oauth2/authorize?client_id=any&request_uri=" + oauth::encode_form_value(reference), "", {});
  }
  [[nodiscard]] static std::string header(const http::Response& answer, std::string_view wanted) {
    for (const auto& [name, value] : answer.headers) {
      if (name == wanted) return value;
    }
    return "";
  }
  static void expect_limited(const http::Response& answer, const std::string& wait) {
    EXPECT_EQ(answer.status, 429U) << answer.body;
    EXPECT_EQ(answer.content_type, "application/json;charset=UTF-8");
    EXPECT_EQ(header(answer, "Retry-After"), wait);
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("error"), "temporarily_unavailable");
    EXPECT_EQ(body.at("error_description"), "Too many requests for now");
  }
  [[nodiscard]] double limited(const std::string& limit) const {
    for (const auto& figure : world.limited->figures()) {
      if (figure.labels.front().second == limit) return figure.value;
    }
    return -1;
  }

  World world;
};

TEST_F(LimitsOfRequests, AnAddressThatShowsNobodyIsLimitedAndOtherAddressesAreNot) {
  begin({.reads = {.address = 3}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(info_from("192.0.2.1"), 200U);
  expect_limited(send("POST", "/csc/v2/info", "", {}), "20");
  expect_limited(send("GET", "/csc/v1/info", "", {}), "20");
  expect_limited(send("GET", "/.well-known/oauth-authorization-server", "", {}), "20");
  expect_limited(send("POST", "/sic/v1/approvals", R"({"handle":"x"})", {}), "20");
  EXPECT_EQ(info_from("192.0.2.2"), 200U);
  EXPECT_EQ(limited("address"), 4);
  world.clock->advance(20s);
  EXPECT_EQ(info_from("192.0.2.1"), 200U);
}

TEST_F(LimitsOfRequests, TheHostOfAnIPv6NetworkIsNotAnotherAddress) {
  begin({.reads = {.address = 1}});
  EXPECT_EQ(info_from("2001:db8:0:1::1"), 200U);
  EXPECT_EQ(info_from("2001:db8:0:1:ffff::2"), 429U);
  EXPECT_EQ(info_from("2001:db8:0:2::1"), 200U);
}

TEST_F(LimitsOfRequests, NoHeaderIsBelievedAboutTheAddress) {
  begin({.reads = {.address = 1}});
  EXPECT_EQ(info_from("192.0.2.1"), 200U);
  http::Request request;
  request.method = "POST";
  request.path = "/csc/v2/info";
  request.peer_address = "192.0.2.1";
  for (const auto* name : {"x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"}) request.headers[name] = "198.51.100.7";
  EXPECT_EQ(world.router->dispatch(request).status, 429U);
}

TEST_F(LimitsOfRequests, WhoShowsAGoodTokenCountsForItsClientAndNotForTheAddress) {
  begin({.reads = {.address = 1, .client = 2}});
  EXPECT_EQ(info_from("192.0.2.1"), 200U);
  const auto list = [&](std::string_view client) {
    return send("POST", "/csc/v2/credentials/list", R"({"userID":"alice"})", {"192.0.2.1", bearer(client)});
  };
  EXPECT_EQ(list("any").status, 200U);
  EXPECT_EQ(list("any").status, 200U);
  expect_limited(list("any"), "30");
  EXPECT_EQ(list("only-alice").status, 200U);
  EXPECT_EQ(limited("client"), 1);
  EXPECT_EQ(limited("address"), 0);
}

TEST_F(LimitsOfRequests, ATokenOfASignerCountsForTheSigner) {
  begin({.reads = {.account = 1}});
  const auto list = [&](const std::string& authorization, const std::string& body) {
    return send("POST", "/csc/v2/credentials/list", body, {"192.0.2.1", authorization});
  };
  EXPECT_EQ(list("Bearer " + world.token_of("alice"), "").status, 200U);
  expect_limited(list("Bearer " + world.token_of("alice"), ""), "60");
  EXPECT_EQ(list("Bearer " + world.token_of("bob"), "").status, 200U);
  EXPECT_EQ(list(bearer(), R"({"userID":"alice"})").status, 200U);
  EXPECT_EQ(limited("account"), 1);
}

TEST_F(LimitsOfRequests, EachKindOfWorkHasBucketsOfItsOwn) {
  begin({.reads = {.client = 1}, .starts = {.client = 1}, .signatures = {.client = 1}});
  const From app{"192.0.2.1", bearer()};
  (void)world.sad("alice-ec", {"one"});  // a start and a message
  EXPECT_EQ(send("POST", "/csc/v2/credentials/info", R"({"credentialID":"alice-ec"})", app).status, 200U);
  for (const auto* path :
       {"/csc/v2/credentials/list", "/csc/v2/credentials/info", "/csc/v2/credentials/authorizeCheck", "/csc/v2/credentials/getChallenge",
        "/csc/v2/signatures/signPolling", "/csc/v1/credentials/list", "/csc/v1/credentials/info", "/csc/v1/credentials/sendOTP"}) {
    EXPECT_EQ(send("POST", path, "{}", app).status, 429U) << path;
  }
  for (const auto* path :
       {"/sic/v1/transactions", "/sic/v1/sessions", "/sic/v1/enrolments", "/sic/v1/keys", "/sic/v1/factors", "/sic/v1/suspensions",
        "/sic/v1/destructions", "/sic/v1/grants", "/sic/v1/documents", "/csc/v2/credentials/authorize", "/csc/v1/credentials/authorize"}) {
    EXPECT_EQ(send("POST", path, "{}", app).status, 429U) << path;
  }
  for (const auto* path :
       {"/sic/v1/messages", "/csc/v2/signatures/signHash", "/csc/v1/signatures/signHash", "/csc/v2/signatures/signDoc"}) {
    EXPECT_EQ(send("POST", path, "{}", app).status, 429U) << path;
  }
}

TEST_F(LimitsOfRequests, ATokenRequestCountsForTheAddressBeforeAndForTheClientOnceItIsProved) {
  begin({.tokens = {.address = 6, .client = 2}});
  // Strangers who name the client take nothing from it.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask_for_token("&client_id=any&client_secret=guess").status, 400U);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ask_for_token(proof()).status, 200U);
  const auto answer = ask_for_token(proof());
  expect_limited(answer, "30");
  EXPECT_EQ(header(answer, "Cache-Control"), "no-store");
  for (const auto* endpoint : {"token", "revoke", "pushed_authorize"}) {
    expect_limited(send("POST", "/csc/v2/oauth2/" + std::string(endpoint), "", {}), "10");
  }
}

TEST_F(LimitsOfRequests, StartsThatNobodyVouchesForAreLimitedByAddressAndAllTogether) {
  begin({.starts = {.address = 2, .anonymous = 3}});
  EXPECT_EQ(start("alice-ec").status, 302U);
  EXPECT_EQ(start("alice-ec").status, 302U);
  expect_limited(start("alice-ec"), "30");
  EXPECT_EQ(start("alice-ec", "192.0.2.2").status, 302U);
  expect_limited(start("alice-ec", "192.0.2.3"), "20");
  EXPECT_EQ(limited("anonymous"), 1);
  // The name of a parameter inside the value of another one vouches for nothing, and neither does one that is written twice.
  expect_limited(send("GET", "/csc/v2/oauth2/authorize?x=request_uri=1&" + parameters("alice-ec"), "", {"192.0.2.4", {}}), "20");
}

TEST_F(LimitsOfRequests, AStartThatItsClientPushedIsNoStrangers) {
  begin({.starts = {.anonymous = 1, .account = 1}});
  EXPECT_EQ(start("alice-ec").status, 302U);
  expect_limited(start("alice-ec"), "60");
  const auto pushed = start_pushed("alice-ec");
  EXPECT_EQ(pushed.status, 302U);
  EXPECT_NE(header(pushed, "Location").find("https://sign.example/approve#"), std::string::npos) << header(pushed, "Location");
}

TEST_F(LimitsOfRequests, StartsForOneSignerAreLimitedWhicheverClientAsks) {
  begin({.starts = {.account = 2}});
  const auto open = [&](const std::string& credential, std::string_view client) {
    const json::Value document{{"hash", encode_base64(digest_of("one"))}, {"label", "one"}};
    return world.post("/sic/v1/transactions",
                      {{"credentialID", credential}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}, {"documents", {document}}}, client);
  };
  EXPECT_EQ(open("alice-ec", "any").status, 200U);
  EXPECT_EQ(open("alice-rsa", "only-alice").status, 200U);
  const auto third = open("alice-ec", "waiting");
  EXPECT_EQ(third.status, 429U) << third.body;
  EXPECT_EQ(header(third, "Retry-After"), "60");
  EXPECT_EQ(open("bob-ec", "any").status, 200U);
  EXPECT_EQ(limited("account"), 1);
  // The client's own redirect address hears of it, as of every refusal behind a good request (RFC 6749, 4.1.2.1).
  const auto back = header(start_pushed("alice-ec"), "Location");
  EXPECT_TRUE(back.starts_with(World::client_redirect)) << back;
  EXPECT_NE(back.find("error=temporarily_unavailable"), std::string::npos) << back;
}

TEST_F(LimitsOfRequests, HealthIsAnsweredWhateverTheLimits) {
  begin({.reads = {.address = 1}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send("GET", "/health/alive", "", {}).status, 200U);
}

TEST_F(LimitsOfRequests, ADeviceCountsForItsNetworkAndForNoClientNorOtherDevice) {
  begin({.reads = {.client = 1}});
  const auto known = must(json::parse(send("POST", "/sic/v1/devices/sessions", R"({"request":"alice asks"})", {}).body));
  const auto device = "Bearer " + known.at("bearer").get<std::string>();
  const auto ask = [&](const std::string& address) { return send("POST", "/sic/v1/devices/waiting", "{}", {address, device}); };
  EXPECT_EQ(ask("192.0.2.1").status, 200U);
  expect_limited(ask("192.0.2.1"), "60");
  EXPECT_EQ(ask("192.0.2.2").status, 200U);
  EXPECT_EQ(send("POST", "/csc/v2/credentials/list", R"({"userID":"alice"})", {"192.0.2.1", bearer()}).status, 200U);
}

TEST_F(LimitsOfRequests, AWrongTokenTakesNothingFromAnybody) {
  begin({.reads = {.address = 1, .client = 1}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send("POST", "/csc/v2/credentials/list", "{}", {"192.0.2.1", "Bearer nonsense"}).status, 401U);
  EXPECT_EQ(info_from("192.0.2.1"), 200U);
}

}  // namespace
}  // namespace intaglio::ssa
