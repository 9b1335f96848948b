#include "http/request_reader.h"

#include <gtest/gtest.h>

namespace intaglio::http {
namespace {

using State = RequestReader::State;

std::string get(const std::string& more = "") { return "GET /a HTTP/1.1\r\nHost: h\r\n" + more + "\r\n"; }
std::string post(const std::string& headers, const std::string& body) {
  return "POST /a HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
}

/// The status of the refusal; 0 when it was accepted, 1 when more was waited for. Fed at once and byte by byte.
unsigned outcome(const std::string& text, const RequestLimits& limits = {}) {
  const auto status_of = [](const RequestReader& reader, State state) {
    return state == State::complete ? 0U : state == State::reading ? 1U : reader.refusal_status();
  };
  RequestReader whole(limits);
  const auto at_once = status_of(whole, whole.feed(text));
  RequestReader single(limits);
  auto state = State::reading;
  for (const char c : text) {
    if (state == State::reading) state = single.feed(std::string_view(&c, 1));
  }
  EXPECT_EQ(at_once, status_of(single, state)) << text.substr(0, 200);
  return at_once;
}

TEST(RequestReader, ReadsARequest) {
  RequestReader reader({});
  ASSERT_EQ(reader.feed("POST /csc/v2/info?x=1&y=%20 HTTP/1.1\r\nHost: sign.example:8443\r\nContent-Type: application/json\r\n"),
            State::reading);
  ASSERT_EQ(reader.feed("Content-Length: 4\r\n\r\nbo"), State::reading);
  ASSERT_EQ(reader.feed("dyGET /next"), State::complete);
  EXPECT_TRUE(reader.keep_alive());
  EXPECT_EQ(reader.take_rest(), "GET /next");
  const auto request = reader.take_request();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/csc/v2/info");
  EXPECT_EQ(request.query, "x=1&y=%20");
  EXPECT_EQ(request.headers.at("host"), "sign.example:8443");
  EXPECT_EQ(request.headers.at("content-type"), "application/json");
  EXPECT_EQ(request.body, "body");
}

TEST(RequestReader, ReadsAChunkedBody) {
  RequestReader reader({});
  ASSERT_EQ(reader.feed(post("Transfer-Encoding: chunked\r\n", "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n")), State::complete);
  EXPECT_EQ(reader.take_request().body, "body");
}

TEST(RequestReader, ClosesWhenTheClientSaysSo) {
  RequestReader reader({});
  ASSERT_EQ(reader.feed(get("Connection: close\r\n")), State::complete);
  EXPECT_FALSE(reader.keep_alive());
}

TEST(RequestReader, AsksForTheBodyOnceWhenItIsExpectedTo) {
  RequestReader reader({});
  ASSERT_EQ(reader.feed(post("Content-Length: 4\r\nExpect: 100-continue\r\n", "")), State::reading);
  EXPECT_TRUE(reader.wants_continue());
  EXPECT_FALSE(reader.wants_continue());
  ASSERT_EQ(reader.feed("body"), State::complete);
  RequestReader early({});
  ASSERT_EQ(early.feed(post("Content-Length: 4\r\nExpect: 100-continue\r\n", "bo")), State::reading);
  EXPECT_FALSE(early.wants_continue()) << "the body is on its way already";
}

TEST(RequestReader, AcceptsWhatIsUsual) {
  EXPECT_EQ(outcome(get()), 0U);
  EXPECT_EQ(outcome(get("Accept: */*\r\nX-Empty:\r\nX-Tab:\ta\t\r\n")), 0U);
  EXPECT_EQ(outcome(post("content-length: 0\r\n", "")), 0U);
  EXPECT_EQ(outcome(post("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n")), 0U);
  EXPECT_EQ(outcome(post("Content-Length: 5\r\n", "body")), 1U) << "waits for the rest";
}

// Request smuggling lives from two readers who see different ends of one request (RFC 9112, 11.2).
TEST(RequestReader, RefusesWhateverTwoReadersCouldUnderstandDifferently) {
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\nHost : h\r\n\r\n"), 400U) << "space before the colon";
  EXPECT_EQ(outcome(get(std::string("X: a\0b\r\n", 8))), 400U) << "NUL in a value";
  EXPECT_EQ(outcome(get(std::string("X\0: a\r\n", 7))), 400U) << "NUL in a name";
  EXPECT_EQ(outcome(get("X: a\nY: b\r\n")), 400U) << "a line that ends with LF alone";
  EXPECT_EQ(outcome(get("X: a\rY: b\r\n")), 400U) << "a CR alone";
  EXPECT_EQ(outcome(post("Content-Length: 4\r\nContent-Length: 4\r\n", "body")), 400U) << "length twice, equal";
  EXPECT_EQ(outcome(post("Content-Length: 4\r\nContent-Length: 5\r\n", "body")), 400U) << "length twice, different";
  EXPECT_EQ(outcome(post("Content-Length: 4, 4\r\n", "body")), 400U) << "length as a list";
  EXPECT_EQ(outcome(post("Content-Length: +4\r\n", "body")), 400U);
  EXPECT_EQ(outcome(post("Content-Length: -4\r\n", "body")), 400U);
  EXPECT_EQ(outcome(post("Content-Length: 0x4\r\n", "body")), 400U);
  EXPECT_EQ(outcome(post("Content-Length:\r\n", "")), 400U);
  EXPECT_EQ(outcome(post("Content-Length: 18446744073709551620\r\n", "body")), 400U) << "a length beyond 64 bits";
  EXPECT_EQ(outcome(post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400U) << "length and chunks";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n")), 400U) << "chunks and length";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400U);
  EXPECT_EQ(outcome(post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")), 501U);
  EXPECT_EQ(outcome(post("Transfer-Encoding: identity\r\n", "")), 501U);
  EXPECT_EQ(outcome(post("Transfer-Encoding: xchunked\r\n", "")), 501U);
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", "-2\r\nbo\r\n")), 400U) << "a negative chunk";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", "2;x=y\r\nbo\r\n0\r\n\r\n")), 400U) << "a chunk extension";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", "2\r\nboXYZ\r\n")), 400U) << "a chunk longer than it says";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 4\r\n\r\n")), 400U) << "a trailer";
}

TEST(RequestReader, SpeaksHttp11Only) {
  EXPECT_EQ(outcome("GET /a HTTP/1.0\r\nHost: h\r\n\r\n"), 505U);
  EXPECT_EQ(outcome("POST /a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 505U);
  EXPECT_EQ(outcome("GET /a HTTP/1.2\r\nHost: h\r\n\r\n"), 505U);
  EXPECT_EQ(outcome("GET /a HTTP/2.0\r\nHost: h\r\n\r\n"), 505U);
  EXPECT_EQ(outcome("GET /a\r\n\r\n"), 400U) << "HTTP/0.9";
  EXPECT_EQ(outcome("\x16\x03\x01 nonsense\r\n\r\n"), 400U);
}

TEST(RequestReader, SpeaksHttp10WhereTheListenerAllowsItWithOneRequestAConnection) {
  const auto read = [](std::string_view text) {
    RequestReader reader(RequestLimits{.http_1_0 = true});
    const auto state = reader.feed(text);
    if (state != RequestReader::State::complete) return std::string("refused ") + std::to_string(reader.refusal_status());
    return std::string(reader.keep_alive() ? "kept " : "closed ") + reader.take_request().body;
  };
  EXPECT_EQ(read("POST /ocsp HTTP/1.0\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"), "closed body");
  EXPECT_EQ(read("POST /ocsp HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody"), "closed body");
  EXPECT_EQ(read("POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"), "kept body");
  EXPECT_EQ(read("POST /ocsp HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "refused 400");
  EXPECT_EQ(read("POST /ocsp HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"), "refused 400");
  EXPECT_EQ(read("GET /a HTTP/1.2\r\nHost: h\r\n\r\n"), "refused 505");
}

TEST(RequestReader, WantsExactlyOneHost) {
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(outcome(get("Host: h\r\n")), 400U) << "twice, equal";
  EXPECT_EQ(outcome(get("Host: g\r\n")), 400U) << "twice, different";
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\nHost:\r\n\r\n"), 400U);
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400U);
  EXPECT_EQ(outcome("GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400U);
}

TEST(RequestReader, RefusesAHeaderThatCameTwice) {
  EXPECT_EQ(outcome(get("Authorization: Bearer a\r\nauthorization: Bearer b\r\n")), 400U);
}

TEST(RequestReader, KnowsOriginFormOnly) {
  for (const std::string target : {"http://h/a", "*", "a", "h:443", "/a#b", "/a\\b", "/\x80", "/a|b"}) {
    EXPECT_EQ(outcome("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"), 400U) << target;
  }
}

TEST(RequestReader, KnowsOneExpectation) { EXPECT_EQ(outcome(post("Content-Length: 4\r\nExpect: 200-ok\r\n", "body")), 417U); }

TEST(RequestReader, BoundsHeaderAndBody) {
  const RequestLimits limits{.max_header_bytes = 256, .max_body_bytes = 16, .max_headers = 4};
  EXPECT_EQ(outcome(get("X: " + std::string(300, 'x') + "\r\n"), limits), 431U);
  EXPECT_EQ(outcome("GET /" + std::string(300, 'x'), limits), 431U) << "a line without an end";
  EXPECT_EQ(outcome(get("A:1\r\nB:2\r\nC:3\r\n"), limits), 0U);
  EXPECT_EQ(outcome(get("A:1\r\nB:2\r\nC:3\r\nD:4\r\n"), limits), 431U) << "five headers";
  EXPECT_EQ(outcome(post("Content-Length: 16\r\n", std::string(16, 'x')), limits), 0U);
  EXPECT_EQ(outcome(post("Content-Length: 17\r\n", ""), limits), 413U) << "before any byte of the body";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", "11\r\n" + std::string(17, 'x') + "\r\n0\r\n\r\n"), limits), 413U);
  std::string many = post("Transfer-Encoding: chunked\r\n", "");
  for (int i = 0; i < 17; ++i) many += "1\r\nx\r\n";
  EXPECT_EQ(outcome(many, limits), 413U) << "seventeen chunks of one byte";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", std::string(400, '0')), limits), 400U) << "a chunk head without an end";
  EXPECT_EQ(outcome(post("Transfer-Encoding: chunked\r\n", "0\r\nX: " + std::string(400, 'x')), limits), 400U)
      << "a trailer without an end";
}

}  // namespace
}  // namespace intaglio::http
