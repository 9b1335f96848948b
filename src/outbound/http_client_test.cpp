#include "outbound/http_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "outbound/test_support.h"

namespace intaglio::outbound {
namespace {

/// Answers each connection with the next of its answers, and keeps what it was asked. The last answer is for all that follow.
class TestServer {
 public:
  explicit TestServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    thread_ = std::thread([this] { run(); });
  }
  ~TestServer() {
    listener_.stop();
    thread_.join();
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::string address() const { return listener_.address(); }
  [[nodiscard]] std::string url(std::string_view path) const { return "http://" + address() + std::string(path); }
  [[nodiscard]] std::string asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  [[nodiscard]] unsigned connections() const {
    const std::lock_guard lock(mutex_);
    return connections_;
  }

 private:
  void run() {
    for (int peer = listener_.accept(); peer >= 0; peer = listener_.accept()) {
      {
        const std::lock_guard lock(mutex_);
        ++connections_;
      }
      while (serve_one(peer)) continue;
      ::close(peer);
    }
  }
  bool serve_one(int peer) {
    std::string request;
    std::string chunk(4096, '\0');
    std::size_t whole = std::string::npos;
    while (request.size() < whole) {
      const auto count = ::recv(peer, chunk.data(), chunk.size(), 0);
      if (count <= 0) return false;
      request.append(chunk, 0, static_cast<std::size_t>(count));
      const auto end = request.find("\r\n\r\n");
      const auto length = request.find("Content-Length: ");
      if (end != std::string::npos) whole = end + 4 + (length < end ? std::stoul(request.substr(length + 16)) : 0);
    }
    const std::lock_guard lock(mutex_);
    asked_ = request;
    const auto answer = answers_.front();
    if (answers_.size() > 1) answers_.erase(answers_.begin());
    ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
    return !answer.empty();
  }

  std::vector<std::string> answers_;
  test::Listener listener_;
  mutable std::mutex mutex_;
  std::string asked_;
  unsigned connections_ = 0;
  std::thread thread_;
};

std::string answer(const std::string& status, const std::string& body, const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

HttpClientConfig config_for(const TestServer& server) {
  HttpClientConfig config;
  config.allowed = {server.address()};
  config.allow_plain_loopback = true;
  config.timeout = std::chrono::milliseconds(5000);
  return config;
}

HttpClient client(const HttpClientConfig& config) {
  auto created = HttpClient::create(config);
  if (!created) panic("no client");
  return *std::move(created);
}

TEST(HttpClient, GetsAndPosts) {
  const TestServer server({answer("200 OK", "{}")});
  const auto http = client(config_for(server));
  const auto got = http.get(server.url("/a?b=c"), {{"Authorization", "Bearer token"}});
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->status, 200U);
  EXPECT_EQ(got->content_type, "application/json");
  EXPECT_EQ(got->body, "{}");
  EXPECT_TRUE(server.asked().starts_with("GET /a?b=c HTTP/1.1\r\n"));
  EXPECT_NE(server.asked().find("Authorization: Bearer token\r\n"), std::string::npos);
  ASSERT_TRUE(http.post_json(server.url("/j"), R"({"a":1})"));
  EXPECT_TRUE(server.asked().starts_with("POST /j HTTP/1.1\r\n"));
  EXPECT_NE(server.asked().find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_TRUE(server.asked().ends_with("\r\n\r\n{\"a\":1}"));
  ASSERT_TRUE(http.post_form(server.url("/f"), {{"grant_type", "client_credentials"}, {"scope", "a b&c=\xc3\xa9"}}));
  EXPECT_TRUE(server.asked().ends_with("grant_type=client_credentials&scope=a%20b%26c%3d%c3%a9")) << server.asked();
  ASSERT_TRUE(http.post(server.url("/o"), "application/ocsp-request", std::string_view("\0\1", 2)));
  EXPECT_NE(server.asked().find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_EQ(server.connections(), 1U) << "the connection was kept";
}

TEST(HttpClient, TakesAnyStatusForAnAnswer) {
  const TestServer server({answer("403 Forbidden", R"({"error":"invalid_hash"})")});
  const auto got = client(config_for(server)).get(server.url("/"));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 403U);
  EXPECT_EQ(got->body, R"({"error":"invalid_hash"})");
}

TEST(HttpClient, KeepsNoConnectionWhenToldSo) {
  const TestServer server({answer("200 OK", "{}", "Connection: close\r\n")});
  auto config = config_for(server);
  config.keep_connections = false;
  const auto http = client(config);
  ASSERT_TRUE(http.get(server.url("/")));
  ASSERT_TRUE(http.get(server.url("/")));
  EXPECT_EQ(server.connections(), 2U);
}

TEST(HttpClient, ReachesAllowedAddressesOnly) {
  const TestServer server({answer("200 OK", "{}")});
  const TestServer other({answer("200 OK", "{}")});
  const auto http = client(config_for(server));
  const auto refused = [&](const std::string& url) {
    const auto got = http.get(url);
    return !got && got.error().code == ErrorCode::configuration;
  };
  EXPECT_TRUE(refused(other.url("/"))) << "another port";
  EXPECT_TRUE(refused("http://localhost:1/"));
  EXPECT_TRUE(refused("http://user:word@" + server.address() + "/")) << "credentials in the URL";
  EXPECT_TRUE(refused("https://" + server.address() + "/")) << "https without a CA file";
  EXPECT_TRUE(refused("file:///etc/passwd"));
  EXPECT_TRUE(refused("ftp://" + server.address() + "/"));
  EXPECT_TRUE(refused(""));
  EXPECT_EQ(other.connections(), 0U);
  EXPECT_FALSE(client({}).get(server.url("/"))) << "nothing is allowed unless named";
}

TEST(HttpClient, SpeaksInTheClearOnlyToLoopbackAndOnlyWhenAllowed) {
  const TestServer server({answer("200 OK", "{}")});
  auto config = config_for(server);
  config.allow_plain_loopback = false;
  EXPECT_EQ(client(config).get(server.url("/")).error().code, ErrorCode::configuration);
  config.allow_plain_loopback = true;
  config.allowed = {"192.0.2.1:80"};
  EXPECT_EQ(client(config).get("http://192.0.2.1/").error().code, ErrorCode::configuration);
}

TEST(HttpClient, FollowsNoRedirect) {
  const TestServer other({answer("200 OK", "{}")});
  const TestServer server({answer("302 Found", "", "Location: " + other.url("/") + "\r\n")});
  auto config = config_for(server);
  config.allowed.push_back(other.address());
  EXPECT_EQ(client(config).get(server.url("/"))->status, 302U);
  EXPECT_EQ(other.connections(), 0U);
}

TEST(HttpClient, RefusesAnAnswerBeyondItsLimit) {
  const TestServer server({answer("200 OK", std::string(2000, 'x'))});
  auto config = config_for(server);
  config.max_response_bytes = 1000;
  EXPECT_EQ(client(config).get(server.url("/")).error().code, ErrorCode::too_large);
}

TEST(HttpClient, TellsNotReachedFromNotAnswered) {
  const TestServer silent({""});
  auto config = config_for(silent);
  config.allowed.emplace_back("127.0.0.1:1");
  const auto http = client(config);
  EXPECT_EQ(http.post_json("http://127.0.0.1:1/", "{}").error().code, ErrorCode::busy);
  const auto unanswered = http.post_json(silent.url("/"), "{}");
  ASSERT_FALSE(unanswered);
  EXPECT_EQ(unanswered.error().code, ErrorCode::internal);
  EXPECT_TRUE(unanswered.error().detail.starts_with("outcome unknown: "));
}

TEST(HttpClient, LetsNoHeaderSmuggleAnother) {
  const TestServer server({answer("200 OK", "{}")});
  EXPECT_EQ(client(config_for(server)).get(server.url("/"), {{"A", "b\r\nC: d"}}).error().code, ErrorCode::invalid_request);
}

TEST(HttpClient, IsUsedByManyThreads) {
  const TestServer server({answer("200 OK", "{}", "Connection: close\r\n")});
  auto config = config_for(server);
  config.keep_connections = false;
  const auto http = client(config);
  std::atomic<unsigned> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) answered += http.get(server.url("/")) ? 1U : 0U;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 20U);
}

TEST(HttpClient, TrustsItsOwnRootsAndTheNameAlone) {
  const test::TlsServer server({"-www"});
  HttpClientConfig config;
  config.ca_file = server.file("server.crt");
  config.allowed = {"127.0.0.1:" + server.port(), "localhost:" + server.port()};
  config.timeout = std::chrono::milliseconds(5000);
  const auto got = client(config).get("https://127.0.0.1:" + server.port() + "/");
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->status, 200U);
  EXPECT_EQ(client(config).get("https://localhost:" + server.port() + "/").error().code, ErrorCode::busy)
      << "a name that the certificate does not have";
  config.ca_file = server.file("other.crt");
  EXPECT_EQ(client(config).get("https://127.0.0.1:" + server.port() + "/").error().code, ErrorCode::busy) << "another root";
}

TEST(HttpClient, StartsOnlyWithFilesThatAreThere) {
  HttpClientConfig config;
  config.ca_file = "/nonexistent/ca.crt";
  EXPECT_FALSE(HttpClient::create(config));
  config.ca_file.clear();
  config.certificate_file = "/etc/hostname";
  EXPECT_FALSE(HttpClient::create(config)) << "a certificate without its key";
}

}  // namespace
}  // namespace intaglio::outbound
