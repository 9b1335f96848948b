#include "outbound/mail.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace intaglio::outbound {
namespace {

Mail some_mail() { return {"m-1", "signatures@example.org", "ada@example.gr", "Hello", "Text", from_unix_seconds(1795849500)}; }

std::string must(const Mail& mail) {
  auto encoded = encode_mail(mail);
  return encoded ? *encoded : "refused: " + encoded.error().detail;
}

TEST(MailAddress, IsWhatRfc5321TakesWithoutQuotes) {
  for (const std::string_view good : {"a@b", "ada.lovelace+x@mail.example.org", "o'neil@example-1.org", "!#$%&*/=?^_`{|}~-@x.y"}) {
    EXPECT_TRUE(check_mail_address(good)) << good;
  }
  for (const std::string& bad : {std::string(),
                                 std::string("@b"),
                                 std::string("a@"),
                                 std::string("a"),
                                 std::string("a@b@c"),
                                 std::string("a b@c"),
                                 std::string("a@b c"),
                                 std::string("a@-b"),
                                 std::string("a@b-"),
                                 std::string("a..b@c"),
                                 std::string(".a@c"),
                                 std::string("a@c."),
                                 std::string("<a@b>"),
                                 std::string("a@[127.0.0.1]"),
                                 std::string("\"a\"@b"),
                                 std::string("a,b@c"),
                                 std::string("α@b"),
                                 std::string(65, 'a') + "@b",
                                 "a@" + std::string(64, 'b'),
                                 "a@" + std::string(253, 'b')}) {
    EXPECT_FALSE(check_mail_address(bad)) << bad;
  }
}

TEST(MailAddress, EndsNoCommandAndNoHeader) {
  for (const std::string_view bad : {"a@b\r\nRCPT TO:<c@d>", "a\n@b", "a@b\r", "a\t@b", "a@b>"}) EXPECT_FALSE(check_mail_address(bad));
  EXPECT_FALSE(check_mail_address(std::string("a@b\0c", 5)));
  auto mail = some_mail();
  mail.to = "ada@example.gr\r\nBcc: eve@example.org";
  EXPECT_FALSE(encode_mail(mail));
}

TEST(Mail, HasTheHeadersOfRfc5322AndItsTextInBase64) {
  EXPECT_EQ(must(some_mail()),
            "Date: Sat, 28 Nov 2026 07:05:00 +0000\r\nFrom: <signatures@example.org>\r\nTo: <ada@example.gr>\r\nMessage-ID: "
            "<m-1@example.org>\r\nSubject: Hello\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
            "charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nVGV4dA==\r\n");
}

TEST(Mail, LetsNoSubjectSmuggleAHeader) {
  for (const std::string_view bad : {"a\r\nBcc: eve@example.org", "a\nb", "a\rb", "a\x7f", "a\tb", ""}) {
    auto mail = some_mail();
    mail.subject = bad;
    EXPECT_FALSE(encode_mail(mail)) << bad;
  }
  auto mail = some_mail();
  mail.id = "m@x>\r\n";
  EXPECT_FALSE(encode_mail(mail));
}

TEST(Mail, EncodesOtherLettersInWordsThatCutNone) {
  auto mail = some_mail();
  mail.subject = "Υπηρεσία: το πιστοποιητικό σας λήγει εντός τριάντα ημερών";
  const auto message = must(mail);
  const auto begin = message.find("Subject: ") + 9;
  const auto header = message.substr(begin, message.find("\r\nAuto-Submitted") - begin);
  std::string read;
  for (std::size_t at = 0; at < header.size();) {
    const auto end = header.find("?=", at);
    const auto word = header.substr(at, end - at);
    ASSERT_TRUE(word.starts_with("=?UTF-8?B?")) << word;
    EXPECT_LE(word.size() + 2, 75U);
    const auto octets = parse_base64(word.substr(10));
    ASSERT_TRUE(octets);
    EXPECT_NE(static_cast<unsigned>(octets->front()) & 0xc0U, 0x80U) << "a word begins within a character";
    read += as_text(*octets);
    at = end + 2;
    if (at < header.size()) {
      ASSERT_EQ(header.substr(at, 3), "\r\n ");
      at += 3;
    }
  }
  EXPECT_EQ(read, mail.subject);
}

TEST(Mail, HasLinesThatAServerTakesAndTextThatIsUtf8) {
  auto mail = some_mail();
  mail.text = std::string(5000, 'x') + "\n.\nQUIT\n";
  const auto message = must(mail);
  for (std::size_t at = 0; at < message.size();) {
    const auto end = message.find("\r\n", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - at, 78U);
    at = end + 2;
  }
  for (const std::string_view bad :
       {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf0\x80\x80\x80", "\xe0\x80\x80"}) {
    mail.text = bad;
    EXPECT_FALSE(encode_mail(mail));
  }
  mail.text = "\xf0\x9f\x96\x8b \xed\x9f\xbf \xce\xb1";
  EXPECT_TRUE(encode_mail(mail));
}

}  // namespace
}  // namespace intaglio::outbound
