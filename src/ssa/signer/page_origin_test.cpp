#include "ssa/signer/page_origin.h"

#include <gtest/gtest.h>

#include "http/routes.h"

namespace intaglio::ssa::signer {
namespace {

constexpr const char* page = "https://sign.example.org";

struct Door {
  int calls = 0;
  http::Handler handler = with_page_origin(
      [this](const http::Request&) {
        ++calls;
        return http::json_answer("{}");
      },
      page);

  http::Response send(const std::string& method, const std::string& path, const std::map<std::string, std::string, std::less<>>& headers) {
    http::Request request;
    request.method = method;
    request.path = path;
    request.headers = headers;
    return handler(request);
  }
};

std::string header(const http::Response& answer, std::string_view name) {
  for (const auto& [known, value] : answer.headers) {
    if (known == name) return value;
  }
  return "";
}

TEST(PageOrigin, IsWhatABrowserSaysOfTheAddress) {
  EXPECT_EQ(origin_of("https://sign.example.org/approve"), page);
  EXPECT_EQ(origin_of("https://Sign.Example.org:443/approve?x=/"), page);
  EXPECT_EQ(origin_of("https://sign.example.org"), page);
  EXPECT_EQ(origin_of("https://localhost:8449?x"), "https://localhost:8449");
}

TEST(PageOrigin, MayCallWhatApprovalsNeedAndReadTheAnswers) {
  Door door;
  const auto first = door.send("OPTIONS", "/sic/v1/approvals/messages", {{"origin", page}, {"access-control-request-method", "POST"}});
  EXPECT_EQ(first.status, 204U);
  EXPECT_EQ(header(first, "Access-Control-Allow-Origin"), page);
  EXPECT_EQ(header(first, "Access-Control-Allow-Methods"), "POST");
  EXPECT_EQ(header(first, "Access-Control-Allow-Headers"), "authorization, content-type");
  EXPECT_EQ(header(first, "Access-Control-Allow-Credentials"), "");
  EXPECT_EQ(door.calls, 0);
  const auto then = door.send("POST", "/sic/v1/approvals", {{"origin", page}});
  EXPECT_EQ(then.status, 200U);
  EXPECT_EQ(header(then, "Access-Control-Allow-Origin"), page);
  EXPECT_EQ(header(then, "Vary"), "Origin");
  EXPECT_EQ(door.calls, 1);
}

TEST(PageOrigin, AnotherOriginIsRefusedBeforeAnythingIsDone) {
  Door door;
  for (const auto* other : {"https://evil.example.org", "null", "https://sign.example.org.evil.example", "https://sign.example.org:8443",
                            "http://sign.example.org", ""}) {
    for (const auto* method : {"OPTIONS", "POST"}) {
      const auto answer = door.send(method, "/sic/v1/approvals", {{"origin", other}, {"access-control-request-method", "POST"}});
      EXPECT_EQ(answer.status, 403U) << other;
      EXPECT_EQ(header(answer, "Access-Control-Allow-Origin"), "") << other;
    }
  }
  EXPECT_EQ(door.calls, 0);
}

TEST(PageOrigin, GainsNothingElsewhereInTheApi) {
  Door door;
  for (const auto* path : {"/sic/v1/approvalsx", "/sic/v1/messages", "/csc/v2/info", "/"}) {
    EXPECT_EQ(header(door.send("POST", path, {{"origin", page}}), "Access-Control-Allow-Origin"), "") << path;
  }
  EXPECT_EQ(door.send("POST", "/sic/v1/approvals", {}).status, 200U) << "no browser asks";
}

}  // namespace
}  // namespace intaglio::ssa::signer
