#include "identity_provider.h"

#include <algorithm>

#include "address.h"
#include "base/file.h"
#include "crypto/jose/jws.h"

namespace intaglio::apps::ssa {
namespace {

using config::Section;
using intaglio::ssa::signer::ClientKey;
using intaglio::ssa::signer::ClientProof;
using intaglio::ssa::signer::ClientSecret;
using intaglio::ssa::signer::IdentityProvider;

constexpr std::size_t max_key_file = 16 * 1024;
constexpr std::size_t max_secret = 1024;

std::string https_address(Section& section, std::string_view key, std::string_view about) {
  auto address = section.text(key, about);
  constexpr std::string_view scheme = "https://";
  const bool good =
      address.starts_with(scheme) && address.size() > scheme.size() &&
      std::none_of(address.begin(), address.end(), [](char c) { return c <= ' ' || c > '~' || c == '#' || c == '"' || c == '\\'; });
  if (!good) section.refuse(key, "must be an https address without a fragment");
  return address;
}

/// `openid` among the words of a scope (OpenID Connect Core 1.0, 3.1.2.1).
bool asks_for_identity(std::string_view scope) {
  while (!scope.empty()) {
    const auto end = scope.find(' ');
    if (scope.substr(0, end) == "openid") return true;
    scope = end == std::string_view::npos ? std::string_view{} : scope.substr(end + 1);
  }
  return false;
}

Error wrong(const std::filesystem::path& path, const Error& error) {
  return {ErrorCode::configuration, path.string() + ": " + error.detail};
}

Result<ClientProof> open_proof(const IdentityProviderSettings& settings) {
  if (settings.by_secret) {
    auto secret = read_secret_file(settings.secret_file, max_secret);
    if (!secret) return wrong(settings.secret_file, secret.error());
    if (secret->empty()) return wrong(settings.secret_file, {ErrorCode::configuration, "is empty"});
    return ClientProof(ClientSecret{std::move(*secret)});
  }
  const auto pem = read_secret_file(settings.private_key, max_key_file);
  if (!pem) return wrong(settings.private_key, pem.error());
  auto key = crypto::SoftwareKey::parse_pem(*pem);
  if (!key) return wrong(settings.private_key, key.error());
  auto kid = settings.key_id;
  if (kid.empty()) {
    auto thumbprint = crypto::jwk_thumbprint((*key)->public_key());
    if (!thumbprint) return thumbprint.error();
    kid = std::move(*thumbprint);
  }
  return ClientProof(ClientKey{std::move(*key), std::move(kid), settings.assertion_audience});
}

}  // namespace

IdentityProviderSettings read_identity_provider(config::Document& document, const std::string& approval_page, bool described) {
  auto section = document.section(
      "identity_provider", "OpenID Connect provider at which signers confirm from the page (docs/operate/pages.md); leave it out: none.");
  IdentityProviderSettings settings;
  auto& provider = settings.provider;
  provider.issuer = https_address(section, "issuer", "Its issuer identifier, as in the policy of the SAM.");
  provider.authorization_endpoint =
      https_address(section, "authorization_endpoint", "Where a browser signs in; the same stands in site.json.");
  provider.token_endpoint = https_address(section, "token_endpoint", "Where this service asks for the ID token.");
  provider.client_id = section.text("client_id", "Who this service is there, as in the policy of the SAM.");
  provider.redirect_uri = approval_page;
  provider.scope = section.text("scope", "What is asked for; openid is part of it.", "openid");
  provider.acr_values =
      section.texts("acr_values", "Levels of assurance that are asked for, the best first; empty: the provider's own choice.", {});
  provider.answers_name_issuer = section.boolean(
      "answers_name_issuer", "The provider names itself in its answers to browsers (RFC 9207): one without is refused.", true);
  settings.by_secret =
      section.choice("client_authentication", "How this service proves itself there: private_key_jwt or client_secret_basic.",
                     {"private_key_jwt", "client_secret_basic"}, "private_key_jwt") == "client_secret_basic";
  settings.private_key =
      section.optional_path("private_key", "private_key_jwt: file of the P-256 key, PKCS#8 in PEM, mode 0600.").value_or("");
  settings.key_id = section.text("key_id", "kid of that key at the provider; empty: its RFC 7638 thumbprint.", "");
  settings.assertion_audience =
      section.text("assertion_audience", "aud of our assertions; empty: the issuer. Some providers want their token endpoint.", "");
  if (settings.assertion_audience.empty()) settings.assertion_audience = provider.issuer;
  settings.secret_file =
      section.optional_path("client_secret_file", "client_secret_basic: file of the secret, mode 0600, one line.").value_or("");
  settings.transport.ca_file = section.path("ca_file", "Authorities of the token endpoint's certificate, PEM; no other is trusted.");
  settings.transport.timeout = section.seconds("timeout_seconds", "How long the token endpoint may take.", {1, 60}, 10);
  settings.transport.connect_timeout = std::min<std::chrono::milliseconds>(settings.transport.connect_timeout, settings.transport.timeout);
  settings.transport.allowed = {host_of(provider.token_endpoint)};
  // A code that is sent twice ends what it gave (RFC 6749, 4.1.2).
  settings.transport.keep_connections = false;
  if (described) return settings;
  if (!asks_for_identity(provider.scope)) section.refuse("scope", "must hold openid");
  const std::string_view needed = settings.by_secret ? "client_secret_file" : "private_key";
  if (!section.has(needed)) section.refuse("client_authentication", "needs " + std::string(needed));
  if (approval_page.empty() || approval_page.find('?') != std::string::npos) {
    section.refuse("issuer", "sends signers back to approval_page of [oauth], which must be an address without a query");
  }
  return settings;
}

Result<std::shared_ptr<const IdentityProvider>> open_identity_provider(const IdentityProviderSettings& settings,
                                                                       std::shared_ptr<const Clock> clock) {
  auto proof = open_proof(settings);
  if (!proof) return proof.error();
  auto client = outbound::HttpClient::create(settings.transport);
  if (!client) return client.error();
  if (auto reachable = client->check(settings.provider.token_endpoint); !reachable) return reachable.error();
  return std::make_shared<const IdentityProvider>(
      settings.provider, std::move(*proof),
      [client = std::move(*client)](std::string_view url, const outbound::HttpHeaders& values, const outbound::HttpHeaders& headers) {
        return client.post_form(url, values, headers);
      },
      std::move(clock));
}

}  // namespace intaglio::apps::ssa
