#include "notice/notifier.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/panic.h"
#include "crypto/symmetric.h"
#include "outbound/test_support.h"

namespace intaglio::notice {
namespace {

/// Takes one request and answers with this status.
class Gateway {
 public:
  explicit Gateway(const std::string& status) {
    thread_ = std::thread([this, status] { serve(status); });
  }
  ~Gateway() {
    listener_.stop();
    join();
  }
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  [[nodiscard]] std::string address() const { return listener_.address(); }
  /// What it was asked, once it has answered.
  const std::string& asked() {
    join();
    return asked_;
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  void serve(const std::string& status) {
    const int peer = listener_.accept();
    if (peer < 0) return;
    std::string chunk(4096, '\0');
    std::size_t whole = std::string::npos;
    while (asked_.size() < whole) {
      const auto count = ::recv(peer, chunk.data(), chunk.size(), 0);
      if (count <= 0) break;
      asked_.append(chunk, 0, static_cast<std::size_t>(count));
      const auto end = asked_.find("\r\n\r\n");
      if (end != std::string::npos) whole = end + 4 + std::stoul(asked_.substr(asked_.find("Content-Length: ") + 16));
    }
    const auto answer = "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::close(peer);
  }

  outbound::test::Listener listener_;
  std::string asked_;
  std::thread thread_;
};

const std::string secret_text = "0123456789abcdef0123456789abcdef";
const std::shared_ptr<const Clock> still = std::make_shared<ManualClock>(from_unix_seconds(1795849500));
const Message message{"n-1", Kind::revoked, "+306900000000", "el", "Subject", "A text: ανάκληση"};

Result<std::shared_ptr<Notifier>> webhook(const std::string& address, std::string_view secret = secret_text) {
  outbound::HttpClientConfig config;
  config.allowed = {address};
  config.allow_plain_loopback = true;
  config.keep_connections = false;
  auto client = outbound::HttpClient::create(config);
  if (!client) return client.error();
  return make_webhook_notifier(std::move(*client), "http://" + address + "/sms", Secret(as_bytes(secret)), still);
}

TEST(Webhook, IsSignedOverTimeAndBody) {
  Gateway gateway("204 No Content");
  const auto notifier = webhook(gateway.address());
  ASSERT_TRUE(notifier);
  ASSERT_TRUE((*notifier)->deliver(message));
  const auto& asked = gateway.asked();
  const std::string body =
      R"({"id":"n-1","kind":"revoked","language":"el","subject":"Subject","text":"A text: ανάκληση","to":"+306900000000"})";
  EXPECT_TRUE(asked.starts_with("POST /sms HTTP/1.1\r\n"));
  EXPECT_TRUE(asked.ends_with("\r\n\r\n" + body)) << asked;
  EXPECT_NE(asked.find("\r\nIntaglio-Timestamp: 1795849500\r\n"), std::string::npos);
  const auto signature = crypto::hmac_sha256(as_bytes(secret_text), as_bytes("1795849500." + body));
  EXPECT_NE(asked.find("\r\nIntaglio-Signature: v1=" + encode_hex(ByteView(signature)) + "\r\n"), std::string::npos);
  EXPECT_EQ(asked.find(secret_text), std::string::npos);
}

TEST(Webhook, TellsWhatIsForGoodFromWhatMayPass) {
  for (const auto& [status, code] : std::vector<std::pair<std::string, ErrorCode>>{{"400 Bad Request", ErrorCode::not_authorised},
                                                                                   {"422 No", ErrorCode::not_authorised},
                                                                                   {"401 No", ErrorCode::busy},
                                                                                   {"429 Later", ErrorCode::busy},
                                                                                   {"302 Found", ErrorCode::busy},
                                                                                   {"503 Later", ErrorCode::busy}}) {
    const Gateway gateway(status);
    const auto delivered = (*webhook(gateway.address()))->deliver(message);
    ASSERT_FALSE(delivered);
    EXPECT_EQ(delivered.error().code, code) << status;
  }
}

TEST(Webhook, HasASecretThatIsNotGuessed) {
  EXPECT_EQ(webhook("127.0.0.1:1", secret_text.substr(1)).error().code, ErrorCode::configuration);
  EXPECT_TRUE(webhook("127.0.0.1:1", secret_text));
}

TEST(Webhook, HasAnAddressToWhichSomethingWouldBeSent) {
  for (const auto& [url, allowed] : std::vector<std::pair<std::string, std::string>>{{"http://192.0.2.1/sms", "192.0.2.1:80"},
                                                                                     {"https://192.0.2.1/sms", "192.0.2.1:443"},
                                                                                     {"ftp://127.0.0.1:1/sms", "127.0.0.1:1"},
                                                                                     {"http://127.0.0.1:2/sms", "127.0.0.1:1"}}) {
    outbound::HttpClientConfig config;
    config.allowed = {allowed};
    config.allow_plain_loopback = true;
    const auto client = outbound::HttpClient::create(config);
    ASSERT_TRUE(client);
    const auto notifier = make_webhook_notifier(*client, url, Secret(as_bytes(secret_text)), still);
    ASSERT_FALSE(notifier) << url;
    EXPECT_EQ(notifier.error().code, ErrorCode::configuration);
  }
}

TEST(MailNotifier, SendsFromAnAddress) {
  outbound::SmtpConfig config;
  config.server = "smtp://127.0.0.1:1";
  config.plain_loopback = true;
  const auto client = outbound::SmtpClient::create(config);
  ASSERT_TRUE(client);
  EXPECT_FALSE(make_mail_notifier(*client, "Desk <desk@example.org>", still));
  const auto notifier = make_mail_notifier(*client, "desk@example.org", still);
  ASSERT_TRUE(notifier);
  EXPECT_EQ((*notifier)->deliver({"n-1", Kind::revoked, "ada@example.gr", "en", "S", "T"}).error().code, ErrorCode::busy);
  EXPECT_EQ((*notifier)->deliver({"n-1", Kind::revoked, "ada@example.gr\r\n", "en", "S", "T"}).error().code, ErrorCode::invalid_request);
}

}  // namespace
}  // namespace intaglio::notice
