#include "outbound/smtp_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "base/test_support.h"
#include "outbound/test_support.h"

namespace intaglio::outbound {
namespace {

using Answers = std::map<std::string, std::string>;

/// A mail server in the clear that answers by a table: the first word of a command gives the answer, 250 where the table has none. It
/// greets by the answer to "".
class MailServer {
 public:
  explicit MailServer(Answers answers = {}) : answers_(std::move(answers)) {
    thread_ = std::thread([this] {
      for (int peer = listener_.accept(); peer >= 0; peer = listener_.accept()) {
        serve(peer);
        ::close(peer);
      }
    });
  }
  ~MailServer() {
    listener_.stop();
    thread_.join();
  }
  MailServer(const MailServer&) = delete;
  MailServer& operator=(const MailServer&) = delete;

  [[nodiscard]] std::string url() const { return "smtp://" + listener_.address(); }
  /// Everything that was said to it.
  [[nodiscard]] std::string heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  static void say(int peer, const std::string& line) {
    const auto whole = line + "\r\n";
    ::send(peer, whole.data(), whole.size(), MSG_NOSIGNAL);
  }
  std::string line_of(int peer) {
    std::string line;
    char c = 0;
    while (!line.ends_with("\r\n") && ::recv(peer, &c, 1, 0) == 1) line.push_back(c);
    const std::lock_guard lock(mutex_);
    heard_ += line;
    return line;
  }
  void serve(int peer) {
    say(peer, answers_.contains("") ? answers_.at("") : "220 test");
    for (auto line = line_of(peer); !line.empty(); line = line_of(peer)) {
      const auto word = line.substr(0, line.find_first_of(" \r"));
      const auto found = answers_.find(word);
      if (found != answers_.end()) {
        say(peer, found->second);
      } else if (word == "DATA") {
        say(peer, "354 go on");
        while (line_of(peer) != ".\r\n") continue;
        say(peer, answers_.contains(".") ? answers_.at(".") : "250 taken");
      } else {
        say(peer, word == "QUIT" ? "221 bye" : "250 good");
      }
    }
  }

  Answers answers_;
  test::Listener listener_;
  mutable std::mutex mutex_;
  std::string heard_;
  std::thread thread_;
};

const Mail mail{"m-1", "signatures@example.org", "ada@example.gr", "Hello", "Text", from_unix_seconds(1795849500)};

SmtpConfig plain(const MailServer& server) {
  SmtpConfig config;
  config.server = server.url();
  config.plain_loopback = true;
  config.timeout = std::chrono::milliseconds(5000);
  return config;
}

Status send(const SmtpConfig& config, const Mail& what = mail) {
  const auto client = SmtpClient::create(config);
  return client ? client->send(what) : Status(client.error());
}

class SmtpFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& content, bool secret = true) const {
    std::ofstream(folder_ / name) << content;
    std::filesystem::permissions(folder_ / name, secret ? std::filesystem::perms(0600) : std::filesystem::perms(0644));
    return folder_ / name;
  }
  intaglio::test::TemporaryFolder folder_;
};

TEST(Smtp, HandsAMessageOver) {
  const MailServer server;
  const auto sent = send(plain(server));
  ASSERT_TRUE(sent) << sent.error().detail;
  const auto heard = server.heard();
  EXPECT_TRUE(heard.starts_with("EHLO example.org\r\n")) << heard;
  EXPECT_NE(heard.find("MAIL FROM:<signatures@example.org>\r\n"), std::string::npos);
  EXPECT_NE(heard.find("RCPT TO:<ada@example.gr>\r\n"), std::string::npos);
  EXPECT_NE(heard.find("\r\nSubject: Hello\r\n"), std::string::npos);
  EXPECT_NE(heard.find("\r\nVGV4dA==\r\n.\r\n"), std::string::npos);
}

TEST(Smtp, TellsWhatIsForGoodFromWhatMayPass) {
  const std::vector<std::pair<Answers, ErrorCode>> cases{{Answers{{"RCPT", "550 no such user"}}, ErrorCode::not_authorised},
                                                         {Answers{{".", "554 no spam"}}, ErrorCode::not_authorised},
                                                         {Answers{{"RCPT", "451 later"}}, ErrorCode::busy},
                                                         {Answers{{".", "452 full"}}, ErrorCode::busy},
                                                         {Answers{{"MAIL", "530 log in first"}}, ErrorCode::busy},
                                                         {Answers{{"", "554 not from there"}}, ErrorCode::busy},
                                                         {Answers{{"EHLO", "550 no"}, {"HELO", "550 no"}}, ErrorCode::busy},
                                                         {Answers{{"MAIL", "550 no such sender here"}}, ErrorCode::busy},
                                                         {Answers{{"DATA", "554 no"}}, ErrorCode::busy}};
  for (const auto& [answers, code] : cases) {
    const MailServer server(answers);
    const auto sent = send(plain(server));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, code) << sent.error().detail;
  }
  SmtpConfig away;
  away.server = "smtp://127.0.0.1:1";
  away.plain_loopback = true;
  EXPECT_EQ(send(away).error().code, ErrorCode::busy);
}

TEST_F(SmtpFiles, NothingIsSaidInTheClearWhereTlsIsAskedFor) {
  const MailServer server(Answers{{"EHLO", "250-test\r\n250 AUTH PLAIN LOGIN"}});
  auto config = plain(server);
  config.plain_loopback = false;
  config.ca_file = "/etc/hostname";
  config.user = "us";
  config.password_file = write("password", "correct horse\n");
  EXPECT_EQ(send(config).error().code, ErrorCode::configuration);
  EXPECT_EQ(server.heard().find("MAIL"), std::string::npos);
  EXPECT_EQ(server.heard().find("AUTH"), std::string::npos);
}

TEST(Smtp, TrustsItsOwnRootsAndTheNameAlone) {
  const test::TlsServer server({}, "554 not today\r\n");
  SmtpConfig config;
  config.server = "smtps://127.0.0.1:" + server.port();
  config.ca_file = server.file("server.crt");
  config.timeout = std::chrono::milliseconds(5000);
  const auto greeted = send(config);
  ASSERT_FALSE(greeted);
  EXPECT_NE(greeted.error().detail.find("status 554"), std::string::npos) << greeted.error().detail;
  config.server = "smtps://localhost:" + server.port();
  EXPECT_EQ(send(config).error().code, ErrorCode::configuration) << "a name that the certificate does not have";
  config.server = "smtps://127.0.0.1:" + server.port();
  config.ca_file = server.file("other.crt");
  EXPECT_EQ(send(config).error().code, ErrorCode::configuration) << "another root";
}

TEST(Smtp, OnlyThisMachineIsSpokenToWithoutTls) {
  for (const std::string server :
       {"smtp://mail.example.org:25", "smtp://192.0.2.1", "smtps://127.0.0.1:465", "smtp://127.0.0.1.example.org"}) {
    SmtpConfig config;
    config.server = server;
    config.plain_loopback = true;
    EXPECT_EQ(SmtpClient::create(config).error().code, ErrorCode::configuration) << server;
  }
}

TEST(Smtp, AServerIsHostAndPortAlone) {
  for (const std::string server :
       {"http://127.0.0.1", "smtp://u:p@127.0.0.1", "smtp://127.0.0.1/x", "smtp://;AUTH=x@127.0.0.1", "", "127.0.0.1:25"}) {
    SmtpConfig config;
    config.server = server;
    config.plain_loopback = true;
    EXPECT_FALSE(SmtpClient::create(config)) << server;
  }
  SmtpConfig without_roots;
  without_roots.server = "smtps://mail.example.org";
  EXPECT_FALSE(SmtpClient::create(without_roots));
  without_roots.ca_file = "/nonexistent/ca.pem";
  EXPECT_FALSE(SmtpClient::create(without_roots));
}

TEST_F(SmtpFiles, APasswordThatOthersMayReadIsNotUsed) {
  const MailServer server(Answers{{"EHLO", "250-test\r\n250 AUTH PLAIN"}, {"AUTH", "334 "}, {"AHVzAGNvcnJlY3QgaG9yc2U=", "235 welcome"}});
  auto config = plain(server);
  config.user = "us";
  EXPECT_FALSE(SmtpClient::create(config)) << "a user without a password";
  config.password_file = write("open", "correct horse\n", false);
  EXPECT_EQ(SmtpClient::create(config).error().code, ErrorCode::configuration);
  for (const auto& [name, content] : {std::pair("two", "a\nb\n"), std::pair("none", "\n")}) {
    config.password_file = write(name, content);
    EXPECT_FALSE(SmtpClient::create(config)) << name;
  }
  config.password_file = write("good", "correct horse\n");
  const auto sent = send(config);
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_NE(server.heard().find("AUTH PLAIN"), std::string::npos);
}

TEST_F(SmtpFiles, WrongCredentialsAreOursToMend) {
  const MailServer server(Answers{{"EHLO", "250-test\r\n250 AUTH PLAIN"}, {"AUTH", "535 no"}});
  auto config = plain(server);
  config.user = "us";
  config.password_file = write("password", "canary-of-a-password");
  const auto sent = send(config);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::configuration);
  EXPECT_EQ(sent.error().detail.find("canary"), std::string::npos);
  EXPECT_EQ(server.heard().find("MAIL"), std::string::npos);
}

TEST(Smtp, AMessageThatIsNoneReachesNobody) {
  const MailServer server;
  auto other = mail;
  other.to = "ada@example.gr>\r\nRCPT TO:<eve@example.org";
  EXPECT_EQ(send(plain(server), other).error().code, ErrorCode::invalid_request);
  EXPECT_EQ(server.heard(), "");
}

}  // namespace
}  // namespace intaglio::outbound
