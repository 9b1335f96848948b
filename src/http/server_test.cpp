#include "http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <regex>

#include "base/file.h"
#include "http/routes.h"

namespace intaglio::http {
namespace {

/// A certification authority that lives as long as the test, in a folder that goes away.
class TestAuthority {
 public:
  TestAuthority() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")), certificate_(make("Test CA", key_, true)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "intaglio-http-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) panic("no temporary folder");
    folder_ = pattern;
    write("ca.crt", [this](BIO* out) { PEM_write_bio_X509(out, certificate_); });
  }
  ~TestAuthority() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
    std::filesystem::remove_all(folder_);
  }
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (folder_ / name).string(); }

  /// name.crt and name.key; gives the certificate, DER.
  Bytes issue(const std::string& name) {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    X509* certificate = make(name, key, false);
    write(name + ".crt", [&](BIO* out) { PEM_write_bio_X509(out, certificate); });
    write(name + ".key", [&](BIO* out) { PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
    unsigned char* der = nullptr;
    const int length = i2d_X509(certificate, &der);
    auto bytes = to_bytes(ByteView(der, static_cast<std::size_t>(length)));
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return bytes;
  }

 private:
  X509* make(const std::string& name, EVP_PKEY* key, bool authority) const {
    X509* made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), authority ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    const auto* text = as_bytes(name).data();
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8, text, static_cast<int>(name.size()), -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(authority ? made : certificate_));
    X509_set_pubkey(made, key);
    if (authority) {
      X509_EXTENSION* basic = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
      X509_add_ext(made, basic, -1);
      X509_EXTENSION_free(basic);
    }
    X509_sign(made, key_, EVP_sha256());
    return made;
  }
  template <typename Writer>
  void write(const std::string& name, Writer writer) {
    BIO* memory = BIO_new(BIO_s_mem());
    writer(memory);
    const unsigned char* data = nullptr;
    std::size_t length = 0;
    contents_of(memory, data, length);
    if (!write_file_durably(folder_ / name, ByteView(data, length), 0600)) panic("not written");
    BIO_free(memory);
  }
  static void contents_of(BIO* memory, const unsigned char*& data, std::size_t& length) {
    BUF_MEM* buffer = nullptr;
    BIO_get_mem_ptr(memory, &buffer);
    data = as_bytes(std::string_view(buffer->data, buffer->length)).data();
    length = buffer->length;
  }

  EVP_PKEY* key_;
  X509* certificate_ = nullptr;
  std::filesystem::path folder_;
};

/// A client that says exactly what it is told to.
class RawClient {
 public:
  struct Tls {
    int version = TLS1_3_VERSION;
    std::string certificate, key;
  };
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void* generic = &address;
    connected_ = ::connect(socket_, static_cast<sockaddr*>(generic), sizeof address) == 0;
  }
  RawClient(std::uint16_t port, const Tls& tls) : RawClient(port) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context_, tls.version);
    if (!tls.certificate.empty()) {
      SSL_CTX_use_certificate_file(context_, tls.certificate.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_, tls.key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_);
    connected_ = connected_ && SSL_connect(ssl_) == 1;
  }
  ~RawClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(socket_);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  bool say(std::string_view text) {
    if (ssl_ != nullptr) return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) > 0;
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  /// One answer: header and as much body as it announces; what there was when the server closed.
  std::string hear() {
    std::string heard;
    std::size_t whole = std::string::npos;
    while (heard.size() < whole) {
      char byte = 0;
      const auto count = ssl_ != nullptr ? SSL_read(ssl_, &byte, 1) : ::recv(socket_, &byte, 1, 0);
      if (count != 1) break;
      heard.push_back(byte);
      if (whole == std::string::npos && heard.ends_with("\r\n\r\n")) {
        const auto length = heard.find("Content-Length: ");
        whole = heard.size() + (length == std::string::npos ? 0 : std::stoul(heard.substr(length + 16)));
      }
    }
    return heard;
  }
  std::string ask(std::string_view text) { return say(text) ? hear() : ""; }
  [[nodiscard]] bool closed_by_server() {
    char byte = 0;
    return (ssl_ != nullptr ? SSL_read(ssl_, &byte, 1) : ::recv(socket_, &byte, 1, 0)) <= 0;
  }
  void stop_sending() const { ::shutdown(socket_, SHUT_WR); }

 private:
  int socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
};

std::string status_of(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }

/// Handlers wait here until they are let go.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for(unsigned count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [=, this] { return waiting_ >= count; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned waiting_ = 0;
  bool open_ = false;
};

constexpr std::string_view get = "GET /a?q=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

class HttpServer : public testing::Test {
 protected:
  void serve(ListenerConfig config, Handler handler) {
    auto started = Server::start(config, std::move(handler));
    ASSERT_TRUE(started) << started.error().detail;
    server = *std::move(started);
  }
  void serve(Handler handler = echo) { serve(plain(), std::move(handler)); }
  static ListenerConfig plain() {
    ListenerConfig config;
    config.tls = false;
    config.workers = 2;
    return config;
  }
  static ListenerConfig with_tls(TestAuthority& authority) {
    static_cast<void>(authority.issue("server"));
    auto config = plain();
    config.tls = true;
    config.certificate_chain_file = authority.file("server.crt");
    config.private_key_file = authority.file("server.key");
    return config;
  }
  static Response echo(const Request& request) {
    return json_answer(request.method + " " + request.path + " " + request.query + " " + request.body + " " + request.peer_address);
  }
  RawClient client() const { return RawClient(server->port()); }

  Gate gate;  ///< handlers may stand in it until the server has ended
  std::unique_ptr<Server> server;
};

TEST_F(HttpServer, AnswersOneRequestAfterAnotherOnOneConnection) {
  serve();
  auto one = client();
  const auto first = one.ask(get);
  EXPECT_TRUE(first.starts_with("HTTP/1.1 200 OK\r\n")) << first;
  EXPECT_TRUE(first.ends_with("GET /a q=1  127.0.0.1")) << first;
  EXPECT_NE(first.find("X-Content-Type-Options: nosniff\r\n"), std::string::npos);
  EXPECT_NE(first.find("Cache-Control: no-store\r\n"), std::string::npos);
  EXPECT_TRUE(std::regex_search(first, std::regex("Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n"))) << first;
  const auto second = one.ask("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_TRUE(second.ends_with("POST /b  body 127.0.0.1")) << second;
  const std::regex id("X-Request-Id: ([0-9a-f-]+)\r\n");
  std::smatch first_id;
  std::smatch second_id;
  ASSERT_TRUE(std::regex_search(first, first_id, id) && std::regex_search(second, second_id, id));
  EXPECT_NE(first_id[1], second_id[1]);
}

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
  serve();
  auto one = client();
  ASSERT_TRUE(one.say("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"));
  for (const auto* path : {"/1", "/2", "/3"}) EXPECT_NE(one.hear().find(path), std::string::npos) << path;
}

TEST_F(HttpServer, LeavesTheBodyOfAHeadOut) {
  serve();
  auto one = client();
  ASSERT_TRUE(one.say("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  one.stop_sending();
  std::string heard;
  for (auto more = one.hear(); !more.empty(); more = one.hear()) heard += more;
  EXPECT_NE(heard.find("Content-Length: 19\r\n"), std::string::npos) << heard;
  EXPECT_TRUE(heard.ends_with("\r\n\r\n")) << heard;
}

TEST_F(HttpServer, AsksForABodyThatWaitsToBeAskedFor) {
  serve();
  auto one = client();
  EXPECT_EQ(one.ask("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_TRUE(one.ask("body").ends_with(" body 127.0.0.1"));
}

TEST_F(HttpServer, RefusesWithAReasonAndCloses) {
  serve();
  const auto ask = [&](std::string_view text) {
    auto one = client();
    const auto answer = one.ask(text);
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("{\"error\":\"invalid_request\",\"error_description\":\""), std::string::npos) << answer;
    EXPECT_TRUE(one.closed_by_server());
    return status_of(answer);
  };
  EXPECT_EQ(ask("GET /a HTTP/1.1\r\nHost : h\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(ask("GET /a HTTP/1.0\r\nHost: h\r\n\r\n"), "HTTP/1.1 505 HTTP Version Not Supported");
  EXPECT_EQ(ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n"), "HTTP/1.1 413 Content Too Large");
  EXPECT_EQ(ask("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n"), "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(ask("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"), "HTTP/1.1 501 Not Implemented");
  EXPECT_EQ(ask("POST /a HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n"), "HTTP/1.1 417 Expectation Failed");
}

TEST_F(HttpServer, LetsAClientReadTheRefusalOfAnEndlessBody) {
  serve();
  auto one = client();
  ASSERT_TRUE(one.say("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
  std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
  for (int i = 0; i < 32; ++i) one.say(chunk);
  EXPECT_EQ(status_of(one.hear()), "HTTP/1.1 413 Content Too Large");
}

TEST_F(HttpServer, ClosesOnSlowRequestsAndIdleConnections) {
  auto config = plain();
  config.request_timeout = std::chrono::seconds(1);
  config.idle_timeout = std::chrono::seconds(1);
  serve(config, echo);
  auto slow_header = client();
  auto slow_body = client();
  auto idle = client();
  auto patient = client();
  ASSERT_TRUE(slow_header.say("GET /a HTTP/1.1\r\nHost: "));
  ASSERT_TRUE(slow_body.say("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo"));
  EXPECT_FALSE(patient.ask(get).empty());
  EXPECT_TRUE(slow_header.closed_by_server());
  EXPECT_TRUE(slow_body.closed_by_server());
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_FALSE(client().ask(get).empty());
}

TEST_F(HttpServer, DoesNotCountTheHandlersTimeAgainstTheRequest) {
  auto config = plain();
  config.request_timeout = std::chrono::seconds(1);
  config.idle_timeout = std::chrono::seconds(1);
  serve(config, [](const Request& request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1600));
    return echo(request);
  });
  EXPECT_EQ(status_of(client().ask(get)), "HTTP/1.1 200 OK");
}

TEST_F(HttpServer, AnswersAnExceptionOfAHandlerWith500AndNothingOfIt) {
  serve([](const Request&) -> Response { throw std::runtime_error("a secret reason"); });
  auto one = client();
  const auto answer = one.ask(get);
  EXPECT_EQ(status_of(answer), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(answer.find("secret"), std::string::npos);
  EXPECT_FALSE(one.ask(get).empty()) << "and goes on";
}

TEST_F(HttpServer, ShedsWhatItsQueueCannotHold) {
  auto config = plain();
  config.workers = 1;
  config.max_queue = 1;
  serve(config, [this](const Request& request) {
    gate.pass();
    return echo(request);
  });
  auto working = client();
  ASSERT_TRUE(working.say(get));
  gate.wait_for(1);
  auto queued = client();
  ASSERT_TRUE(queued.say(get));
  // The queue holds one; whoever comes when it is taken is told at once.
  std::string shed;
  auto third = client();
  auto fourth = client();
  ASSERT_TRUE(third.say(get) && fourth.say(get));
  const auto first_heard = std::async(std::launch::async, [&] { return third.hear(); });
  const auto second_heard = std::async(std::launch::async, [&] { return fourth.hear(); });
  const auto third_waited = first_heard.wait_for(std::chrono::seconds(1)) == std::future_status::timeout;
  const auto fourth_waited = second_heard.wait_for(std::chrono::seconds(1)) == std::future_status::timeout;
  EXPECT_FALSE(third_waited && fourth_waited) << "at most one of three can wait";
  gate.open();
  EXPECT_EQ(status_of(working.hear()), "HTTP/1.1 200 OK");
}

TEST_F(HttpServer, HoldsNoMoreConnectionsThanItsCap) {
  auto config = plain();
  config.max_connections = 2;
  serve(config, echo);
  auto first = client();
  auto second = client();
  ASSERT_FALSE(first.ask(get).empty());
  ASSERT_FALSE(second.ask(get).empty());
  EXPECT_TRUE(client().closed_by_server());
  EXPECT_FALSE(first.ask(get).empty()) << "those inside are served";
}

TEST_F(HttpServer, FinishesWhatIsUnderWayAndClosesWhatIsIdleWhenItStops) {
  serve([this](const Request& request) {
    gate.pass();
    return echo(request);
  });
  auto idle = client();
  auto working = client();
  ASSERT_TRUE(working.say(get));
  gate.wait_for(1);
  std::thread stopper([&] { server->stop(std::chrono::seconds(20)); });
  EXPECT_TRUE(idle.closed_by_server());
  gate.open();
  const auto answer = working.hear();
  EXPECT_EQ(status_of(answer), "HTTP/1.1 200 OK");
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  working.stop_sending();
  EXPECT_TRUE(working.closed_by_server());
  stopper.join();
  EXPECT_FALSE(client().connected());
}

TEST_F(HttpServer, ServesManyConnectionsThatDoNothing) {
  serve();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 400; ++i) idle.push_back(std::make_unique<RawClient>(server->port()));
  EXPECT_EQ(status_of(client().ask(get)), "HTTP/1.1 200 OK");
}

TEST_F(HttpServer, SpeaksTls13Only) {
  TestAuthority authority;
  serve(with_tls(authority), echo);
  EXPECT_FALSE(RawClient(server->port(), {TLS1_2_VERSION, "", ""}).connected());
  RawClient modern(server->port(), {TLS1_3_VERSION, "", ""});
  ASSERT_TRUE(modern.connected());
  const auto answer = modern.ask(get);
  EXPECT_EQ(status_of(answer), "HTTP/1.1 200 OK");
  EXPECT_NE(answer.find("Strict-Transport-Security: max-age="), std::string::npos);
  EXPECT_FALSE(modern.ask(get).empty());
  EXPECT_FALSE(client().ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").starts_with("HTTP/")) << "nothing in the clear";
}

TEST_F(HttpServer, CarriesLargeBodiesOverTls) {
  TestAuthority authority;
  auto config = with_tls(authority);
  config.max_body_bytes = 400'000;
  serve(config, [](const Request& request) { return json_answer(request.body + request.body); });
  RawClient one(server->port(), {TLS1_3_VERSION, "", ""});
  const std::string body(300'000, 'b');
  const auto answer = one.ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + body);
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 600'000U);
}

TEST_F(HttpServer, RequiresAClientCertificateOfItsAuthorityAndPassesItOn) {
  TestAuthority authority;
  TestAuthority other;
  const auto expected = authority.issue("operator");
  static_cast<void>(other.issue("stranger"));
  auto config = with_tls(authority);
  config.client_ca_file = authority.file("ca.crt");
  Bytes seen;
  serve(config, [&](const Request& request) {
    seen = request.peer_certificate;
    return echo(request);
  });
  // In TLS 1.3 the client's half of the handshake ends before the server looks at its certificate.
  EXPECT_TRUE(RawClient(server->port(), {TLS1_3_VERSION, "", ""}).ask(get).empty());
  EXPECT_TRUE(RawClient(server->port(), {TLS1_3_VERSION, other.file("stranger.crt"), other.file("stranger.key")}).ask(get).empty());
  EXPECT_TRUE(seen.empty());
  RawClient known(server->port(), {TLS1_3_VERSION, authority.file("operator.crt"), authority.file("operator.key")});
  EXPECT_EQ(status_of(known.ask(get)), "HTTP/1.1 200 OK");
  EXPECT_EQ(seen, expected);
}

TEST_F(HttpServer, TakesAnyClientCertificateAndNoClientWithoutOneWhereTheHandlerDecides) {
  TestAuthority authority;
  TestAuthority other;
  const auto expected = other.issue("stranger");
  static_cast<void>(other.issue("second"));
  auto config = with_tls(authority);
  config.any_client_certificate = true;
  Bytes seen;
  serve(config, [&](const Request& request) {
    seen = request.peer_certificate;
    return echo(request);
  });
  EXPECT_TRUE(RawClient(server->port(), {TLS1_3_VERSION, "", ""}).ask(get).empty());
  EXPECT_TRUE(RawClient(server->port(), {TLS1_3_VERSION, other.file("stranger.crt"), other.file("second.key")}).ask(get).empty());
  EXPECT_TRUE(seen.empty()) << "without its key a certificate is nobody's";
  RawClient known(server->port(), {TLS1_3_VERSION, other.file("stranger.crt"), other.file("stranger.key")});
  EXPECT_EQ(status_of(known.ask(get)), "HTTP/1.1 200 OK");
  EXPECT_EQ(seen, expected);
  config.client_ca_file = authority.file("ca.crt");
  EXPECT_EQ(Server::start(config, echo).error().code, ErrorCode::configuration);
}

TEST_F(HttpServer, StartsOnlyWithAnIdentityThatIsWhole) {
  TestAuthority authority;
  auto config = with_tls(authority);
  config.private_key_file = authority.file("missing.key");
  EXPECT_EQ(Server::start(config, echo).error().code, ErrorCode::configuration);
  static_cast<void>(authority.issue("another"));
  config.private_key_file = authority.file("another.key");
  EXPECT_EQ(Server::start(config, echo).error().code, ErrorCode::configuration) << "key of another certificate";
  auto taken = plain();
  serve(taken, echo);
  taken.port = server->port();
  EXPECT_EQ(Server::start(taken, echo).error().code, ErrorCode::configuration) << "port that is taken";
}

}  // namespace
}  // namespace intaglio::http
