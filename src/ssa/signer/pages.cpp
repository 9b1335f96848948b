#include "ssa/signer/pages.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "json/json.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::size_t max_file_bytes = std::size_t{4} << 20U;
constexpr std::size_t max_files = 64;
constexpr std::size_t digest_digits = 64;
constexpr std::string_view sums_name = "SHA256SUMS";
constexpr std::string_view site_name = "site.json";

constexpr auto types = std::to_array<std::pair<std::string_view, std::string_view>>({
    {".html", "text/html;charset=UTF-8"},
    {".js", "text/javascript;charset=UTF-8"},
    {".css", "text/css;charset=UTF-8"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain;charset=UTF-8"},
});

Error misconfigured(std::string detail) { return {ErrorCode::configuration, "pages: " + std::move(detail)}; }

std::optional<std::string_view> type_of(std::string_view name) {
  const auto* found = std::find_if(types.begin(), types.end(), [&](const auto& row) { return name.ends_with(row.first); });
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

/// A file of the bundle stands in its folder and not below it.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

struct Sum {
  std::string digest, name;
};

/// What sha256sum writes: 64 hex digits, two blanks, a name, a line feed.
Result<std::vector<Sum>> parse_sums(std::string_view text) {
  std::vector<Sum> sums;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return misconfigured("SHA256SUMS ends within a line");
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const auto name = line.size() > digest_digits + 2 ? line.substr(digest_digits + 2) : std::string_view{};
    if (!is_name(name) || line.substr(digest_digits, 2) != "  " || name == site_name) return misconfigured("SHA256SUMS holds another line");
    sums.push_back({std::string(line.substr(0, digest_digits)), std::string(name)});
    if (sums.size() > max_files) return misconfigured("SHA256SUMS names too many files");
  }
  if (sums.empty()) return misconfigured("SHA256SUMS names no file");
  return sums;
}

Result<std::string> read_text(const std::filesystem::path& path) {
  const auto content = read_file(path, max_file_bytes);
  if (!content) return misconfigured(path.string() + ": " + content.error().detail);
  return std::string(as_text(*content));
}

/// Signers are sent to the provider that this service asks, and to no address beside it.
Status check_identity_provider(const json::Value& site, const PagesConfig& config) {
  const auto* provider = json::member(site, "identity_provider");
  const auto is = [&](std::string_view name, const std::string& expected) {
    const auto value = provider == nullptr ? Result<std::string>(std::string()) : json::text_member(*provider, name);
    return value && *value == expected;
  };
  const bool same = is("issuer", config.identity_issuer) && is("authorization_endpoint", config.identity_address);
  if (refused_by("ssa.pages.identity", !same)) {
    return misconfigured("site.json: identity_provider is not the one of [identity_provider]");
  }
  return {};
}

/// A page that talked to another service, or sealed to another SAM, would be nobody's mistake but this file's.
Status check_site(const std::string& text, const PagesConfig& config) {
  const auto site = json::parse(text, {.max_bytes = max_file_bytes});
  if (!site) return misconfigured("site.json: " + site.error().detail);
  const auto api = json::text_member(*site, "api", 300);
  if (!api || *api != config.api) return misconfigured("site.json: api is not base_url of [service]");
  const auto* jwk = json::member(*site, "sam_identity");
  const auto key = jwk == nullptr ? Result<crypto::PublicKey>(misconfigured("")) : crypto::parse_jwk(json::encode(*jwk));
  if (!key) return misconfigured("site.json: sam_identity is no P-256 JWK");
  const auto thumbprint = crypto::jwk_thumbprint(*key);
  if (!thumbprint) return thumbprint.error();
  if (refused_by("ssa.pages.sam", *thumbprint != config.identity_thumbprint)) {
    return misconfigured("site.json: sam_identity is not the key of identity_thumbprint in [sam]");
  }
  return check_identity_provider(*site, config);
}

std::vector<std::pair<std::string, std::string>> headers_for(const std::string& api) {
  return {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' " + api +
           "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Permissions-Policy", "publickey-credentials-get=(self), camera=(), geolocation=(), microphone=(), clipboard-read=()"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Frame-Options", "DENY"},
  };
}

}  // namespace

Result<Pages> Pages::load(const PagesConfig& config) {
  auto sums_text = read_text(config.folder / sums_name);
  if (!sums_text) return sums_text.error();
  auto digest = encode_hex(crypto::sha256(as_bytes(*sums_text)));
  if (refused_by("ssa.pages.bundle", !config.bundle_sha256.empty() && digest != config.bundle_sha256)) {
    return misconfigured("the bundle's digest is " + digest + ", another one than bundle_sha256");
  }
  const auto sums = parse_sums(*sums_text);
  if (!sums) return sums.error();
  std::vector<File> files;
  for (const auto& sum : *sums) {
    const auto type = type_of(sum.name);
    if (!type) return misconfigured(sum.name + " is of no kind that pages have");
    auto body = read_text(config.folder / sum.name);
    if (!body) return body.error();
    if (refused_by("ssa.pages.file", encode_hex(crypto::sha256(as_bytes(*body))) != sum.digest)) {
      return misconfigured(sum.name + " is not the file that SHA256SUMS names");
    }
    files.push_back({sum.name, std::string(*type), std::move(*body)});
  }
  files.push_back({std::string(sums_name), "text/plain;charset=UTF-8", std::move(*sums_text)});
  auto site = read_text(config.site);
  if (!site) return site.error();
  if (auto checked = check_site(*site, config); !checked) return checked.error();
  files.push_back({std::string(site_name), "application/json;charset=UTF-8", std::move(*site)});
  return Pages(std::move(files), std::move(digest), headers_for(config.api));
}

void Pages::add_routes(http::Router& router) const {
  for (const auto& file : files_) {
    const http::Response answer{200, file.type, file.body, headers_};
    const auto serve = [answer](const http::Request&, const http::PathParameters&) -> http::Response { return http::Response(answer); };
    router.add("GET", "/" + file.name, http::Access::anonymous, http::RouteHandler(serve));
    if (const std::string_view name(file.name); name.ends_with(".html")) {
      router.add("GET", "/" + std::string(name.substr(0, name.size() - 5)), http::Access::anonymous, http::RouteHandler(serve));
    }
  }
  router.answer_unknown("/", {404, "text/plain;charset=UTF-8", "There is nothing at this address.\n", headers_});
}

}  // namespace intaglio::ssa::signer
