#include "notice/templates.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/panic.h"
#include "base/test_support.h"

namespace intaglio::notice {
namespace {

const std::filesystem::path shipped = std::filesystem::path(INTAGLIO_SOURCE_DIR) / "deploy/notices";

class TemplatesTest : public testing::Test {
 protected:
  TemplatesTest() { std::filesystem::copy(shipped, folder_.path()); }
  /// Why the folder does not load with this file in it, after the folder's name.
  std::string refused_with(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::trunc) << content;
    const auto loaded = Templates::load(folder_.path());
    return loaded ? "loaded" : loaded.error().detail.substr(folder_.path().string().size() + 1);
  }
  test::TemporaryFolder folder_;
};

Values values_of(Kind kind) {
  Values values{{"service", "Intaglio demo"}, {"contact", "+30 210 0000000"}, {"link", "https://enrol.example"}};
  for (const auto fact : facts_of(kind)) values.emplace(fact, "fact-" + std::string(fact));
  return values;
}

TEST(Templates, ThatWeShipSayEveryFactInBothLanguages) {
  const auto templates = Templates::load(shipped);
  ASSERT_TRUE(templates) << templates.error().detail;
  for (const auto kind : all_kinds) {
    for (const auto language : languages) {
      const auto text = templates->render(kind, language, values_of(kind));
      ASSERT_TRUE(text) << name_of(kind) << language;
      EXPECT_EQ(text->body.find_first_of("{}"), std::string::npos);
      EXPECT_NE(text->subject.find("Intaglio demo"), std::string::npos);
      for (const auto fact : facts_of(kind)) EXPECT_NE(text->body.find("fact-" + std::string(fact)), std::string::npos) << name_of(kind);
      EXPECT_NE(text->body.find("+30 210 0000000"), std::string::npos);
      EXPECT_EQ(text->body.find("https://enrol.example") != std::string::npos, kind == Kind::enrolment_link);
    }
  }
}

TEST(Kinds, HaveNoPlaceholderOfACodeAndOneOfThemALink) {
  for (const auto kind : all_kinds) {
    EXPECT_EQ(parse_kind(name_of(kind)), kind);
    for (const auto name : placeholders_of(kind)) {
      EXPECT_EQ(name.find("code"), std::string_view::npos);
      EXPECT_TRUE(name != "link" || kind == Kind::enrolment_link);
    }
  }
  EXPECT_FALSE(parse_kind("else"));
}

TEST_F(TemplatesTest, AnUnknownPlaceholderIsNamedWithItsLineAndTheKnownOnes) {
  EXPECT_EQ(refused_with("revoked.en.txt", "Subject: x\n\nfirst\nsecond {{serial}}\n"),
            "revoked.en.txt:4: unknown placeholder {{serial}}; known here: at, contact, credential, service");
  EXPECT_EQ(refused_with("revoked.en.txt", "Subject: {{code}}\n\nx"),
            "revoked.en.txt:1: unknown placeholder {{code}}; known here: at, contact, credential, service");
  EXPECT_EQ(refused_with("revoked.en.txt", "Subject: x\n\n{{ at }}"),
            "revoked.en.txt:3: unknown placeholder {{ at }}; known here: at, contact, credential, service");
}

TEST_F(TemplatesTest, ALinkDoesNotStandWhereACodeIsAnnounced) {
  const std::string why = "a link in the text that announces a code";
  EXPECT_EQ(refused_with("activation_code.en.txt", "Subject: x\n\n{{link}}"),
            "activation_code.en.txt:3: unknown placeholder {{link}}; known here: contact, service, until");
  EXPECT_EQ(refused_with("activation_code.en.txt", "Subject: x\n\na\nHTTPS://enrol.example"), "activation_code.en.txt:4: " + why);
  EXPECT_EQ(refused_with("activation_code.en.txt", "Subject: www.enrol.example\n\na"), "activation_code.en.txt:1: " + why);
}

TEST_F(TemplatesTest, AFileOfAnotherFormStopsTheStart) {
  for (const auto& [content, why] : std::vector<std::pair<std::string, std::string>>{
           {"Hello\n\nx", "1: the first line is not `Subject: ` and a subject"},
           {"Subject: \n\nx", "1: the first line is not `Subject: ` and a subject"},
           {"Subject: x", "1: the first line is not `Subject: ` and a subject"},
           {"Subject: x\nx", "2: the second line is not empty"},
           {"Subject: x\n\n", "3: no text"},
           {"Subject: x\r\n\r\nx", "1: a control character; lines end with LF alone"},
           {"Subject: x\n\nx\x7f", "3: a control character; lines end with LF alone"},
           {"Subject: x\n\nof ISO-8859-7: \xc1\xed\xdc\xea\xeb\xe7\xf3\xe7\nx", "3: not UTF-8"},
           {"Subject: \xc1\xed\n\nx", "1: not UTF-8"},
           {"Subject: x\n\nx\n\xce", "4: not UTF-8"},
           {"Subject: x\n\n{at}", "3: a brace outside a {{placeholder}}"},
           {"Subject: x\n\nat}}", "3: a brace outside a {{placeholder}}"},
           {"Subject: x\n\n{{at", "3: a brace outside a {{placeholder}}"}}) {
    EXPECT_EQ(refused_with("revoked.el.txt", content), "revoked.el.txt:" + why);
  }
  EXPECT_NE(refused_with("revoked.el.txt", std::string(17000, 'x')), "loaded");
  std::filesystem::remove(folder_ / "revoked.el.txt");
  EXPECT_FALSE(Templates::load(folder_.path()));
}

TEST_F(TemplatesTest, AValueIsTakenAsItIsAndBreaksNoLine) {
  ASSERT_EQ(refused_with("revoked.en.txt", "Subject: {{credential}}\n\n{{credential}}|{{at}}"), "loaded");
  const auto templates = Templates::load(folder_.path());
  auto values = values_of(Kind::revoked);
  values["credential"] = "{{at}}";
  const auto text = templates->render(Kind::revoked, "en", values);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->subject, "{{at}}");
  EXPECT_EQ(text->body, "{{at}}|fact-at");
  for (const std::string& bad : {std::string("a\r\nBcc: x"), std::string("a\nb"), std::string("\x7f"), std::string(513, 'x')}) {
    values["credential"] = bad;
    EXPECT_FALSE(templates->render(Kind::revoked, "en", values));
  }
  values.erase("credential");
  EXPECT_FALSE(templates->render(Kind::revoked, "en", values));
  EXPECT_FALSE(templates->render(Kind::revoked, "de", values_of(Kind::revoked)));
}

}  // namespace
}  // namespace intaglio::notice
