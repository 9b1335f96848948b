#include "ssa/signer/pages.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/signer.h"
#include "json/json.h"
#include "oauth/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using oauth::test::must;

class PagesTest : public testing::Test {
 protected:
  PagesTest() {
    std::string made = testing::TempDir() + "/intaglio-pages-XXXXXX";
    if (::mkdtemp(made.data()) == nullptr) panic("no temporary folder");
    folder = made;
    const auto key = must(crypto::SoftwareKey::generate());
    config = {folder, folder / "the-site.json", "https://api.example.org", must(crypto::jwk_thumbprint(key->public_key())), ""};
    site = {{"api", config.api}, {"sam_identity", must(json::parse(must(crypto::encode_jwk(key->public_key()))))}};
    write("approve.html", "<p>approve</p>");
    write("approve.js", "export {};");
    write_sums({"approve.html", "approve.js"});
    write_site();
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  void write(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(write_file_durably(folder / name, as_bytes(text), 0600));
  }
  void write_site() const { write("the-site.json", json::encode(site)); }
  void write_sums(const std::vector<std::string>& names) {
    std::string sums;
    for (const auto& name : names) sums += encode_hex(crypto::sha256(must(read_file(folder / name, 1024)))) + "  " + name + "\n";
    write("SHA256SUMS", sums);
    digest = encode_hex(crypto::sha256(as_bytes(sums)));
  }
  [[nodiscard]] http::Response get(const std::string& path) const {
    http::Router router;
    must(Pages::load(config)).add_routes(router);
    http::Request request;
    request.method = "GET";
    request.path = path;
    return router.dispatch(request);
  }
  [[nodiscard]] std::string refusal() const {
    const auto loaded = Pages::load(config);
    return loaded ? "" : loaded.error().detail;
  }

  std::filesystem::path folder;
  PagesConfig config;
  json::Value site;
  std::string digest;
};

std::string header(const http::Response& answer, std::string_view name) {
  for (const auto& [known, value] : answer.headers) {
    if (known == name) return value;
  }
  return "";
}

TEST_F(PagesTest, ASiteThatSendsSignersToAnotherProviderIsNotServed) {
  constexpr std::string_view refused = "pages: site.json: identity_provider is not the one of [identity_provider]";
  const json::Value provider{{"name", "X"}, {"issuer", "https://id.example"}, {"authorization_endpoint", "https://id.example/auth"}};
  site["identity_provider"] = provider;
  write_site();
  EXPECT_EQ(refusal(), refused) << "of which the service knows nothing";
  config.identity_issuer = "https://id.example";
  config.identity_address = "https://id.example/auth";
  EXPECT_EQ(refusal(), "");
  for (const auto* name : {"issuer", "authorization_endpoint"}) {
    for (const auto& value : {json::Value("https://evil.example"), json::Value(nullptr), json::Value(7)}) {
      site["identity_provider"] = provider;
      site["identity_provider"][name] = value;
      write_site();
      EXPECT_EQ(refusal(), refused) << name;
    }
  }
  site.erase("identity_provider");
  write_site();
  EXPECT_EQ(refusal(), refused) << "of which the page knows nothing";
}

TEST_F(PagesTest, AreServedByNameWithTheirTypes) {
  EXPECT_EQ(get("/approve").body, "<p>approve</p>");
  EXPECT_EQ(get("/approve.html").content_type, "text/html;charset=UTF-8");
  EXPECT_EQ(get("/approve.js").content_type, "text/javascript;charset=UTF-8");
  EXPECT_EQ(get("/site.json").body, json::encode(site));
  EXPECT_EQ(get("/SHA256SUMS").status, 200U);
  EXPECT_EQ(must(Pages::load(config)).digest(), digest);
}

TEST_F(PagesTest, NothingElseOfTheFolderIsServed) {
  write("other.html", "<p>not of the bundle</p>");
  for (const auto* path : {"/", "/other", "/other.html", "/the-site.json", "/../approve.html", "/approve/", "/csc/v2/info"}) {
    const auto answer = get(path);
    EXPECT_EQ(answer.status, 404U) << path;
    EXPECT_NE(header(answer, "Content-Security-Policy"), "") << path;
  }
}

TEST_F(PagesTest, EveryAnswerKeepsOtherOriginsOut) {
  for (const auto* path : {"/approve", "/approve.js", "/site.json", "/nothing"}) {
    const auto answer = get(path);
    EXPECT_EQ(header(answer, "Content-Security-Policy"),
              "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' https://api.example.org; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
        << path;
    EXPECT_EQ(header(answer, "Cross-Origin-Opener-Policy"), "same-origin") << path;
    EXPECT_EQ(header(answer, "Cross-Origin-Resource-Policy"), "same-origin") << path;
    EXPECT_EQ(header(answer, "Referrer-Policy"), "no-referrer") << path;
    EXPECT_EQ(header(answer, "X-Frame-Options"), "DENY") << path;
  }
}

TEST_F(PagesTest, AFileThatWasChangedIsNotServed) {
  write("approve.js", "steal();");
  EXPECT_EQ(refusal(), "pages: approve.js is not the file that SHA256SUMS names");
}

TEST_F(PagesTest, AnotherBundleThanThePublishedOneIsNotServed) {
  config.bundle_sha256 = digest;
  EXPECT_EQ(refusal(), "");
  write("approve.js", "steal();");
  write_sums({"approve.html", "approve.js"});
  EXPECT_NE(refusal().find("another one than bundle_sha256"), std::string::npos);
}

TEST_F(PagesTest, ASiteForAnotherApiOrAnotherSamIsNotServed) {
  const auto good = site;
  site["api"] = "https://evil.example.org";
  write_site();
  EXPECT_EQ(refusal(), "pages: site.json: api is not base_url of [service]");
  site = good;
  site["sam_identity"] = must(json::parse(must(crypto::encode_jwk(must(crypto::SoftwareKey::generate())->public_key()))));
  write_site();
  EXPECT_EQ(refusal(), "pages: site.json: sam_identity is not the key of identity_thumbprint in [sam]");
  site.erase("sam_identity");
  write_site();
  EXPECT_EQ(refusal(), "pages: site.json: sam_identity is no P-256 JWK");
}

TEST_F(PagesTest, ABundleThatIsNotWhatTheBuildMakesIsRefused) {
  const auto line = [&](const std::string& name) { return std::string(64, '0') + "  " + name + "\n"; };
  for (const auto& sums : {std::string(), std::string("x"), line("../secret.html"), line("a/b.html"), line(".hidden.js"), line("site.json"),
                           std::string(64, '0') + " approve.html\n", line("approve.exe"), line("gone.html")}) {
    write("SHA256SUMS", sums);
    EXPECT_NE(refusal(), "") << sums;
  }
}

}  // namespace
}  // namespace intaglio::ssa::signer
