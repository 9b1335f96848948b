#include "config/document.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace intaglio::config {
namespace {

Document parsed(std::string_view text) {
  auto document = Document::parse(text, "/etc/intaglio/sam.toml", "intaglio-sam");
  EXPECT_TRUE(document) << document.error().detail;
  return std::move(*document);
}

std::string findings(const Document& document) {
  auto done = document.finish();
  return done ? "" : done.error().detail;
}

TEST(Config, GivesEveryKindOfValue) {
  auto document = parsed(R"(
name = "node-1"
[listen]
address = "127.0.0.1"
port = 8443
tls = true
certificate = "tls/sam.pem"
anchors = ["a.pem", "/b.pem"]
suites = ["x", "y"]
mode = "fast"
idle_seconds = 30
)");
  auto root = document.root();
  EXPECT_EQ(root.text("name", "The node."), "node-1");
  auto listen = document.section("listen", "Where it listens.");
  EXPECT_EQ(listen.text("address", "Address.", "::1"), "127.0.0.1");
  EXPECT_EQ(listen.port("port", "Port.", 1), 8443);
  EXPECT_TRUE(listen.boolean("tls", "TLS.", false));
  EXPECT_EQ(listen.path("certificate", "Certificate."), "/etc/intaglio/tls/sam.pem");
  EXPECT_EQ(listen.paths("anchors", "Anchors."), (std::vector<std::filesystem::path>{"/etc/intaglio/a.pem", "/b.pem"}));
  EXPECT_EQ(listen.texts("suites", "Suites."), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(listen.choice("mode", "Mode.", {"slow", "fast"}), "fast");
  EXPECT_EQ(listen.seconds("idle_seconds", "Idle.", {1, 60}, 10), std::chrono::seconds(30));
  EXPECT_TRUE(document.finish());
}

TEST(Config, GivesFallbacksForWhatTheFileLeavesOut) {
  auto document = parsed("");
  auto section = document.section("limits", "Limits.");
  EXPECT_EQ(section.text("a", "A.", "x"), "x");
  EXPECT_EQ(section.integer("b", "B.", {1, 9}, 5), 5);
  EXPECT_FALSE(section.boolean("c", "C.", false));
  EXPECT_EQ(section.path("d", "D.", "data/sam.db"), "/etc/intaglio/data/sam.db");
  EXPECT_EQ(section.optional_text("e", "E."), std::nullopt);
  EXPECT_EQ(section.optional_path("f", "F."), std::nullopt);
  EXPECT_EQ(section.texts("g", "G.", {"z"}), (std::vector<std::string>{"z"}));
  EXPECT_TRUE(document.sections("client", "Clients.").empty());
  EXPECT_TRUE(document.finish());
}

TEST(Config, AMissingKeyIsNamedWithItsTableAndPurpose) {
  auto document = parsed("\n\n[listen]\n");
  static_cast<void>(document.section("listen", "Where it listens.").integer("port", "The port of the service.", {1, 65535}));
  EXPECT_EQ(findings(document), "/etc/intaglio/sam.toml:3: listen.port: is missing (integer from 1 to 65535): The port of the service.");
}

TEST(Config, AWrongValueIsNamedWithItsLineAndType) {
  auto document = parsed("[listen]\nport = \"8443\"\nmode = 'middling'\ntls = 1\n");
  auto listen = document.section("listen", "Where it listens.");
  static_cast<void>(listen.boolean("tls", "TLS.", true));
  static_cast<void>(listen.integer("port", "Port.", {1, 65535}));
  static_cast<void>(listen.choice("mode", "Mode.", {"slow", "fast"}));
  EXPECT_EQ(findings(document),
            "/etc/intaglio/sam.toml:2: listen.port: must be: integer from 1 to 65535\n"
            "/etc/intaglio/sam.toml:3: listen.mode: must be: one of \"slow\", \"fast\"\n"
            "/etc/intaglio/sam.toml:4: listen.tls: must be: true or false");
}

TEST(Config, ANumberOutOfItsRangeIsRefused) {
  for (const auto* text : {"n = 0", "n = 11", "n = 9223372036854775807", "n = 1.5"}) {
    auto document = parsed(text);
    static_cast<void>(document.root().integer("n", "N.", {1, 10}));
    EXPECT_FALSE(document.finish()) << text;
  }
}

TEST(Config, AnUnknownKeyIsRefusedWithTheClosestNameFirst) {
  auto document = parsed("[listen]\naddress = 'x'\n\nprot = 1\n");
  auto listen = document.section("listen", "Where it listens.");
  static_cast<void>(listen.text("address", "Address."));
  static_cast<void>(listen.integer("port", "Port.", {1, 65535}, 1));
  EXPECT_EQ(findings(document), "/etc/intaglio/sam.toml:4: listen.prot: unknown name; known here, the closest first: port, address");
}

TEST(Config, AnUnknownTableIsRefused) {
  auto document = parsed("[lisen]\nport = 1\n");
  static_cast<void>(document.section("listen", "Where it listens."));
  EXPECT_EQ(findings(document), "/etc/intaglio/sam.toml:1: lisen: unknown name; known here, the closest first: listen");
}

TEST(Config, AQuotedKeyWithADotIsNotTheKeyItLooksLike) {
  auto document = parsed("'listen.port' = 1\n");
  static_cast<void>(document.section("listen", "Where it listens.").integer("port", "Port.", {1, 9}, 5));
  EXPECT_FALSE(document.finish());
}

TEST(Config, UnknownKeysInsideElementsAreFoundToo) {
  auto document = parsed("[[client]]\nid = 'a'\n[[client]]\nid = 'b'\nid2 = 'c'\n");
  std::vector<std::string> ids;
  for (auto& client : document.sections("client", "The clients.")) ids.push_back(client.text("id", "Its id."));
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(findings(document), "/etc/intaglio/sam.toml:5: client.id2: unknown name; known here, the closest first: id");
}

TEST(Config, ATableThatIsNoTableIsRefused) {
  auto document = parsed("listen = 1\nclient = [1]\n");
  static_cast<void>(document.section("listen", "Where it listens."));
  static_cast<void>(document.sections("client", "The clients."));
  EXPECT_EQ(findings(document),
            "/etc/intaglio/sam.toml:1: listen: must be a table: [listen]\n"
            "/etc/intaglio/sam.toml:2: client: must be tables: [[client]]");
}

TEST(Config, BrokenTomlIsRefusedWithItsLine) {
  for (const auto* text : {"a = 1\nb = \n", "a = 1\na = 2\n", "x = 1\n[t\n"}) {
    auto document = Document::parse(text, "sam.toml", "intaglio-sam");
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error().code, ErrorCode::configuration);
    EXPECT_TRUE(document.error().detail.starts_with("sam.toml:2: column ")) << document.error().detail;
  }
}

TEST(Config, TomlThatBreaksOffInsideATableNameIsRefusedWithItsLine) {
  auto document = Document::parse("[a]\ntext = 'x'\n[[\nmore = 'y'\n", "sam.toml", "intaglio-sam");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().detail, "sam.toml:3: not TOML");
}

TEST(Config, OtherScriptsStandInCommentsAndDoubleQuotesOnly) {
  auto document = parsed("# Ελλάδα\nname = \"Αθήνα \\\" € 𝄞\" # σχόλιο\n");
  EXPECT_EQ(document.root().text("name", "N."), "Αθήνα \" € 𝄞");
  for (const auto* text : {"a = 1\nόνομα = 1\n", "a = 1\nb =\u00a01\n", "a = 1\n[τ]\n", "a = 1\nb = 'ό'\n", "a = 1\nb = 'x # ό'\n",
                           "a = 1\nb = 'x \" ό'\n", "a = 1\nb = \"\"\"ό\"\"\"\n"}) {
    auto refused = Document::parse(text, "sam.toml", "intaglio-sam");
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().detail, "sam.toml:2: a character that is not ASCII, outside comments and strings in double quotes");
  }
}

TEST(Config, WhatIsNotUtf8IsRefused) {
  for (const auto* bytes : {"\xc3", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x28\xa1"}) {
    auto refused = Document::parse("a = \"" + std::string(bytes) + "\"\n", "sam.toml", "intaglio-sam");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "sam.toml:1: not UTF-8");
  }
}

TEST(Config, APathIsNeitherEmptyNorHoldsANul) {
  for (const auto* text : {"p = ''", "p = \"a\\u0000b\"", "p = 1"}) {
    auto document = parsed(text);
    static_cast<void>(document.root().path("p", "P."));
    EXPECT_FALSE(document.finish()) << text;
  }
}

TEST(Config, TheProgramMayRefuseAValueAtItsLine) {
  auto document = parsed("\nport = 80\n");
  auto root = document.root();
  static_cast<void>(root.port("port", "Port.", 0));
  root.refuse("port", "is reserved");
  EXPECT_EQ(findings(document), "/etc/intaglio/sam.toml:2: port: is reserved");
}

TEST(Config, TheEffectiveConfigurationHoldsDefaultsAndDoesNotDependOnTheOrderOfTheFile) {
  const auto read = [](std::string_view text) {
    auto document = parsed(text);
    auto a = document.section("a", "A.");
    static_cast<void>(a.integer("z", "Z.", {0, 9}, 3));
    static_cast<void>(a.text("b", "B."));
    static_cast<void>(document.root().boolean("top", "Top.", true));
    for (auto& client : document.sections("client", "Clients.")) static_cast<void>(client.text("id", "Id."));
    EXPECT_TRUE(document.finish());
    return document.effective();
  };
  EXPECT_EQ(read("[a]\nb = 'x\"y'\n[[client]]\nid='c'\n"), "a.b = \"x\\u0022y\"\na.z = 3\nclient[0].id = \"c\"\ntop = true\n");
  EXPECT_EQ(read("top = true\n[[client]]\nid='c'\n[a]\nz = 3\nb = 'x\"y'\n"), read("[a]\nb = 'x\"y'\n[[client]]\nid='c'\n"));
  EXPECT_NE(read("[a]\nb = 'x'\n"), read("[a]\nb = 'y'\n"));
}

TEST(Config, ABlankDocumentDescribesEveryKey) {
  auto document = Document::blank("intaglio-sam");
  auto listen = document.section("listen", "Where it listens.");
  static_cast<void>(listen.path("certificate", "The certificate."));
  static_cast<void>(listen.port("port", "The port.", 8443));
  static_cast<void>(listen.optional_text("name", "The name."));
  for (auto& client : document.sections("client", "Who may call.")) {
    static_cast<void>(client.text("id", "Its id."));
    static_cast<void>(client.section("limits", "Its limits.").integer("rate", "Per second.", {1, 9}, 5));
  }
  EXPECT_TRUE(document.finish());
  EXPECT_EQ(document.describe(),
            "# Where it listens.\n[listen]\n"
            "# The certificate.\n# path, required\ncertificate =\n"
            "# The port.\n# integer from 0 to 65535, default:\n# port = 8443\n"
            "# The name.\n# text, optional\n# name =\n"
            "\n# Who may call.\n[[client]]\n"
            "# Its id.\n# text, required\nid =\n"
            "\n# Its limits.\n[client.limits]\n"
            "# Per second.\n# integer from 1 to 9, default:\n# rate = 5\n");
}

TEST(Config, AFileIsReadFromItsFolder) {
  std::string folder = std::filesystem::temp_directory_path() / "intaglio-config-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto file = std::filesystem::path(folder) / "sam.toml";
  std::ofstream(file) << "database = 'sam/sam.db'\n";
  auto document = Document::open(file, "intaglio-sam");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().path("database", "The database."), std::filesystem::path(folder) / "sam/sam.db");
  EXPECT_TRUE(document->finish());
  std::filesystem::remove_all(folder);
  auto missing = Document::open(file, "intaglio-sam");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::configuration);
}

}  // namespace
}  // namespace intaglio::config
