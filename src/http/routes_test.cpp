#include "http/routes.h"

#include <gtest/gtest.h>

#include "http/answer.h"

namespace intaglio::http {
namespace {

Request request(std::string method, std::string path) {
  Request made;
  made.method = std::move(method);
  made.path = std::move(path);
  return made;
}

Response text(std::string body) { return json_answer(std::move(body)); }

class Routes : public testing::Test {
 protected:
  Routes() {
    router.add("GET", "/things/{id}", Access::anonymous,
               [](const Request&, const PathParameters& path) { return text("thing " + path["id"]); });
    router.add("POST", "/things", Access::bearer,
               [](const Request&, const PathParameters&, const Principal& principal) { return text("by " + principal.id); });
    router.add("GET", "/things", Access::anonymous, [](const Request&, const PathParameters&) { return text("all"); });
    router.add("GET", "/ocsp/{request...}", Access::anonymous,
               [](const Request&, const PathParameters& path) { return text(path["request"]); });
    router.add("GET", "/operators", Access::operator_certificate, [](const Request&, const PathParameters&) { return text("never"); });
    router.add_unsupported("POST", "/csc/v2/credentials/authorizeCheck");
    router.authorise_with(Access::bearer, [](const Request& asked) -> Result<Principal> {
      const auto header = asked.headers.find("authorization");
      if (header == asked.headers.end()) return Error{ErrorCode::not_authorised, "a detail for operators"};
      return Principal{.id = header->second, .subject = {}, .scopes = {}};
    });
  }
  Router router;
};

TEST_F(Routes, FindTheirHandlerAndItsParameters) {
  EXPECT_EQ(router.dispatch(request("GET", "/things/42")).body, "thing 42");
  EXPECT_EQ(router.dispatch(request("GET", "/things")).body, "all");
  EXPECT_EQ(router.dispatch(request("HEAD", "/things")).body, "all");
  EXPECT_EQ(router.dispatch(request("GET", "/ocsp/MEIw/QDA+==")).body, "MEIw/QDA+==");
  EXPECT_EQ(router.dispatch(request("GET", "/ocsp/a")).body, "a");
}

TEST_F(Routes, AnswerUnknownPathsWith404) {
  for (const auto* path : {"/", "/thing", "/things/", "/things/1/2", "//things", "/things/1/", "/ocsp", "/ocsp/"}) {
    EXPECT_EQ(router.dispatch(request("GET", path)).status, 404U) << path;
  }
}

TEST_F(Routes, AnswerOtherMethodsWith405AndNameTheKnownOnes) {
  const auto answer = router.dispatch(request("DELETE", "/things"));
  EXPECT_EQ(answer.status, 405U);
  ASSERT_EQ(answer.headers.size(), 1U);
  EXPECT_EQ(answer.headers[0].second, "POST, GET");
}

TEST_F(Routes, AnswerWhatIsNotOfferedWith501) {
  EXPECT_EQ(router.dispatch(request("POST", "/csc/v2/credentials/authorizeCheck")).status, 501U);
  EXPECT_EQ(router.dispatch(request("BREW", "/things")).status, 501U);
  router.answer_unknown("/csc/v2/", error_answer(501, "not_implemented", "no"));
  EXPECT_EQ(router.dispatch(request("POST", "/csc/v2/unknown")).status, 501U);
}

TEST_F(Routes, LetNobodyPastTheirAccess) {
  const auto stranger = router.dispatch(request("POST", "/things"));
  EXPECT_EQ(stranger.status, 403U);
  EXPECT_EQ(stranger.body.find("detail for operators"), std::string::npos);
  auto known = request("POST", "/things");
  known.headers["authorization"] = "alice";
  EXPECT_EQ(router.dispatch(known).body, "by alice");
}

TEST_F(Routes, RefuseEverybodyWhenTheirAccessHasNoGuard) { EXPECT_EQ(router.dispatch(request("GET", "/operators")).status, 500U); }

TEST_F(Routes, LetTheAppWordARefusal) {
  router.authorise_with(
      Access::bearer,
      [](const Request&) -> Result<Principal> {
        return Error{ErrorCode::not_authorised, ""};
      },
      [](const Request&, const Error&) { return error_answer(401, "invalid_token", "expired"); });
  EXPECT_EQ(router.dispatch(request("POST", "/things")).body, R"({"error":"invalid_token","error_description":"expired"})");
}

TEST(Form, GivesOneValueDecoded) {
  EXPECT_EQ(*form_value("grant_type=client_credentials&scope=a+b%2Fc", "scope"), "a b/c");
  EXPECT_EQ(*form_value("a&b=2", "a"), "");
  EXPECT_EQ(*form_value("a=%41", "a"), "A");
  EXPECT_EQ(form_value("a=1", "b").error().code, ErrorCode::not_found);
  EXPECT_EQ(form_value("", "b").error().code, ErrorCode::not_found);
  for (const auto* form : {"a=1&a=2", "a=1&%61=2", "a=%4", "a=%", "a=%zz", "%g=1&a=1"}) {
    EXPECT_EQ(form_value(form, "a").error().code, ErrorCode::invalid_request) << form;
  }
}

TEST(Answer, CarriesItsSafetyHeaders) {
  const AnswerFrame frame{.request_id = "r-1", .date = "Sun, 06 Nov 1994 08:49:37 GMT", .tls = true, .close = true, .head = false};
  const auto encoded = encode_answer(error_answer(400, "invalid_request", "a reason"), frame);
  EXPECT_EQ(
      encoded,
      "HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: "
      "58\r\n"
      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nStrict-Transport-Security: max-age=63072000\r\nX-Request-Id: r-1\r\n"
      "Connection: close\r\n\r\n{\"error\":\"invalid_request\",\"error_description\":\"a reason\"}");
}

TEST(Answer, KeepsAHandlersCacheControlAndLeavesOutWhatDoesNotBelong) {
  Response response;
  response.headers.emplace_back("cache-control", "max-age=60");
  response.body = "body";
  const AnswerFrame frame{.request_id = "r", .date = "d", .tls = false, .close = false, .head = true};
  const auto encoded = encode_answer(response, frame);
  EXPECT_EQ(encoded.find("no-store"), std::string::npos);
  EXPECT_EQ(encoded.find("Strict-Transport-Security"), std::string::npos);
  EXPECT_NE(encoded.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(encoded.ends_with("\r\n\r\n")) << "HEAD";
}

TEST(Answer, LetsNoHandlerSplitIt) {
  Response response;
  response.headers.emplace_back("Location", "a\r\nSet-Cookie: x");
  const AnswerFrame frame{.request_id = "r", .date = "d", .tls = false, .close = false, .head = false};
  const auto encoded = encode_answer(response, frame);
  EXPECT_TRUE(encoded.starts_with("HTTP/1.1 500 "));
  EXPECT_EQ(encoded.find("Set-Cookie"), std::string::npos);
}

TEST(Answer, DatesAreThoseOfTheRfc) {
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110, 5.6.7
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

}  // namespace
}  // namespace intaglio::http
