#include "settings.h"

#include "base/file.h"
#include "config/document.h"
#include "crypto/jose/jws.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t thumbprint_length = 43;
constexpr std::size_t max_key_file = 16 * 1024;

std::string read_url(config::Section& section, std::string_view about) {
  auto url = section.text("base_url", about);
  if (!url.starts_with("https://")) section.refuse("base_url", "must begin with https://");
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::optional<std::string> read_thumbprint(config::Section& section, std::string_view key, std::string_view about) {
  auto text = section.optional_text(key, about);
  if (text && text->size() != thumbprint_length) section.refuse(key, "must be an RFC 7638 thumbprint: 43 characters of base64url");
  return text;
}

void read_service(config::Document& document, SignerSide& side) {
  auto service = document.section("service", "where the SSA listens");
  side.base_url = read_url(service, "the SSA's public listener, https");
  side.ca_file = service.path("ca_file", "PEM: the only authority trusted for that listener");
}

void read_terms(config::Document& document, SignerSide& side) {
  auto terms = document.section("terms", "the terms that the signer accepts with each signature");
  side.terms = {terms.text("id", "their identifier"), terms.text("version", "their version"),
                terms.text("language", "their language, BCP 47")};
  side.terms_text = terms.text("text", "shown before the act", "");
}

}  // namespace

Result<std::shared_ptr<crypto::SoftwareKey>> load_private_key(const std::filesystem::path& path) {
  auto pem = read_secret_file(path, max_key_file);
  if (!pem) return because(pem.error(), "key file " + path.string(), "it must exist, be PEM (PKCS#8, P-256) and have mode 0600");
  auto key = crypto::SoftwareKey::parse_pem(*pem);
  if (!key) return because(key.error(), "key file " + path.string(), "it must be PEM (PKCS#8, P-256), unencrypted");
  return key;
}

Result<std::shared_ptr<crypto::SoftwareKey>> load_or_make_private_key(const std::filesystem::path& path, std::string_view option) {
  if (std::filesystem::exists(path)) return load_private_key(path);
  auto made = crypto::SoftwareKey::generate();
  if (!made) return made.error();
  auto pem = (*made)->encode_pem();
  if (!pem) return pem.error();
  if (auto written = write_file_durably(path, pem->reveal(), 0600); !written)
    return because(written.error(), std::string(option) + " " + path.string(), "the folder must be writable");
  return made;
}

Result<ClientSettings> load_client_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio");
  if (!document)
    return because(document.error(), "client configuration",
                   "see deploy/examples/client.toml; `make up` writes run/clients/demo/client.toml");
  ClientSettings settings;
  read_service(*document, settings);
  auto client = document->section("client", "who we are to the service");
  settings.client_id = client.text("id", "the identifier of this signature application");
  const auto key_file = client.path("key_file", "PEM, PKCS#8, P-256, mode 0600: proves who we are (RFC 7523)");
  auto sam = document->section("sam", "the SAM that the signer trusts");
  settings.sam_thumbprint = sam.text("identity_thumbprint", "RFC 7638 thumbprint of the SAM's identity key");
  if (settings.sam_thumbprint.size() != thumbprint_length)
    sam.refuse("identity_thumbprint", "must be an RFC 7638 thumbprint: 43 characters of base64url");
  settings.checkpoint_thumbprint =
      read_thumbprint(sam, "checkpoint_thumbprint", "RFC 7638 thumbprint of the key that signs the audit log's checkpoints");
  settings.log_origin = sam.optional_text("log_origin", "origin of the SAM's audit log");
  read_terms(*document, settings);
  auto limits = document->section("limits", "how long the program waits");
  settings.request_time = limits.seconds("request_seconds", "for one request", {1, 300}, 20);
  settings.receipt_time = limits.seconds("receipt_seconds", "for the receipt to be integrated into the log", {0, 300}, 5);
  if (auto finished = document->finish(); !finished) return finished.error();
  auto key = load_private_key(key_file);
  if (!key) return key.error();
  settings.client_key = std::move(*key);
  return settings;
}

Result<DeviceSettings> load_device_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio");
  if (!document)
    return because(document.error(), "device configuration", "see deploy/examples/device.toml; `make up` writes run/device.toml");
  SignerSide side;
  read_service(*document, side);
  auto sam = document->section("sam", "the SAM that the signer trusts");
  auto identity = crypto::parse_jwk(sam.text("identity_jwk", "the SAM's identity key as public JWK"));
  if (!identity) sam.refuse("identity_jwk", "is not a public P-256 JWK");
  read_terms(*document, side);
  auto limits = document->section("limits", "how long the program waits");
  side.request_time = limits.seconds("request_seconds", "for one request", {1, 300}, 20);
  if (auto finished = document->finish(); !finished) return finished.error();
  return DeviceSettings{std::move(side), std::move(*identity)};
}

Result<OperatorSettings> load_operator_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio");
  if (!document)
    return because(document.error(), "operator configuration",
                   "see deploy/examples/operator.toml; `make up` writes run/operators/ra-1/operator.toml");
  OperatorSettings settings;
  auto registration = document->section("registration", "where the SSA listens for operators");
  settings.base_url = read_url(registration, "the SSA's registration listener, https");
  settings.ca_file = registration.path("ca_file", "PEM: the only authority trusted for that listener");
  settings.certificate_file = registration.path("certificate_file", "PEM: the operator's TLS certificate");
  settings.private_key_file = registration.path("private_key_file", "PEM: its key, mode 0600");
  auto person = document->section("operator", "who signs the requests");
  settings.operator_id = person.text("id", "the identifier of the operator; the kid of each request");
  const auto key_file = person.path("key_file", "PEM, PKCS#8, P-256, mode 0600: signs requests and opens activation codes");
  auto sam = document->section("sam", "the SAM whose statements are verified");
  const auto jwk = sam.text("identity_jwk", "the SAM's identity key as public JWK; empty: its statements are not verified here", "");
  auto limits = document->section("limits", "how long the program waits");
  settings.request_time = limits.seconds("request_seconds", "for one request", {1, 300}, 20);
  if (!jwk.empty()) {
    auto key = crypto::parse_jwk(jwk);
    if (key) settings.sam_identity = *key;
    if (!key) sam.refuse("identity_jwk", "is not a public P-256 JWK");
  }
  if (auto finished = document->finish(); !finished) return finished.error();
  auto key = load_private_key(key_file);
  if (!key) return key.error();
  settings.operator_key = std::move(*key);
  return settings;
}

Result<AdminSettings> load_admin_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio");
  if (!document)
    return because(document.error(), "administration",
                   "see deploy/examples/admin.toml; `make up` writes run/users/adm-1/admin.toml and those of other roles");
  AdminSettings settings;
  auto sam = document->section("sam", "the SAM's management listener");
  settings.sam.address = sam.text("address", "its address");
  settings.sam.port = sam.port("port", "its port", 7402);
  settings.sam_name = sam.text("name", "the SAM's name: a request is meant for one SAM");
  const auto pin = parse_hex(sam.text("pinned_spki_sha256", "hex SHA-256 of the SPKI of the SAM's certificate"));
  if (!pin || pin->size() != settings.sam.pinned_peer.size())
    sam.refuse("pinned_spki_sha256", "must be 64 hex digits");
  else
    std::copy(pin->begin(), pin->end(), settings.sam.pinned_peer.begin());
  auto user = document->section("user", "who asks");
  settings.user_id = user.text("id", "the identifier of the privileged user; the kid of each request");
  settings.sam.identity.certificate_file = user.path("certificate_file", "PEM: the user's TLS certificate").string();
  const auto key_file = user.path("key_file", "PEM, PKCS#8, P-256, mode 0600: key of that certificate; signs requests");
  settings.sam.identity.private_key_file = key_file.string();
  if (auto finished = document->finish(); !finished) return finished.error();
  auto key = load_private_key(key_file);
  if (!key) return key.error();
  settings.key = std::move(*key);
  return settings;
}

Result<crypto::PublicKey> load_public_key(const std::filesystem::path& path) {
  auto content = read_file(path, max_key_file);
  if (!content) return because(content.error(), "public key", "give a file with a PEM public key or a public JWK");
  std::string text(as_text(*content));
  if (text.find('{') != std::string::npos) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    auto key = crypto::parse_jwk(text);
    if (!key) return because(key.error(), path.string(), "give a public P-256 JWK, or a PEM public key");
    return key;
  }
  const std::string begin = "-----BEGIN PUBLIC KEY-----";
  const auto from = text.find(begin);
  const auto to = text.find("-----END PUBLIC KEY-----");
  const auto wrong = problem(ErrorCode::invalid_request, path.string() + " holds neither a PEM public key nor a JWK",
                             "give the key that signs the checkpoints");
  if (from == std::string::npos || to == std::string::npos || to < from) return wrong;
  std::string base64;
  for (const char c : std::string_view(text).substr(from + begin.size(), to - from - begin.size())) {
    if (c != '\n' && c != '\r' && c != ' ') base64 += c;
  }
  auto der = parse_base64(base64);
  if (!der) return wrong;
  return crypto::PublicKey::parse_spki(*der);
}

}  // namespace intaglio::cli
