#include "oauth/client.h"

#include <algorithm>
#include <array>

#include "base/panic.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::oauth {
namespace {

constexpr std::string_view scheme = "hmac-sha256$";
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t mac_bytes = 32;

constexpr std::size_t max_redirect_uri_bytes = 1024;

/// https, http to the device itself (RFC 8252, 7.3), or a scheme of an application (7.1): nothing that a browser would run or
/// read, no fragment (RFC 6749, 3.1.2), nothing that could end a header line.
bool is_redirect_uri(std::string_view uri) {
  const auto printable =
      std::all_of(uri.begin(), uri.end(), [](char c) { return c > 0x20 && c < 0x7F && c != '#' && c != '"' && c != '\\'; });
  const auto colon = uri.find(':');
  if (!printable || uri.size() > max_redirect_uri_bytes || colon == std::string_view::npos || colon == 0) return false;
  const auto kind = uri.substr(0, colon);
  const auto rest = uri.substr(colon + 1);
  const auto known = std::all_of(kind.begin(), kind.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
  if (!known || rest.empty()) return false;
  if (kind == "http")
    return rest.starts_with("//127.0.0.1:") || rest.starts_with("//127.0.0.1/") || rest.starts_with("//[::1]:") ||
           rest.starts_with("//[::1]/");
  if (kind == "https")
    return rest.size() > 2 && rest.starts_with("//") && rest.substr(0, rest.find('/', 2)).find('@') == std::string_view::npos;
  constexpr auto never = std::to_array<std::string_view>({"javascript", "data", "vbscript", "file", "blob", "about", "ws", "wss", "ftp"});
  return std::find(never.begin(), never.end(), kind) == never.end();
}

std::string lower(std::string_view text) {
  std::string copy(text);
  std::transform(copy.begin(), copy.end(), copy.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return copy;
}

}  // namespace

std::string_view name_of(Compatibility compatibility) noexcept {
  switch (compatibility) {
    case Compatibility::no_pkce: return "no-pkce";
    case Compatibility::auth_login: return "auth-login";
    case Compatibility::token_query: return "token-query";
  }
  panic("a compatibility without a name");
}

std::optional<Compatibility> parse_compatibility(std::string_view name) noexcept {
  for (const auto one : {Compatibility::no_pkce, Compatibility::auth_login, Compatibility::token_query}) {
    if (name_of(one) == name) return one;
  }
  return std::nullopt;
}

Result<CertificateName> CertificateName::subject(std::string_view text) {
  if (text.empty()) return Error{ErrorCode::configuration, "the subject of a client's certificate must not be empty"};
  return CertificateName(std::nullopt, std::string(text));
}

Result<CertificateName> CertificateName::alternative(crypto::AlternativeName kind, std::string_view text) {
  if (text.empty()) return Error{ErrorCode::configuration, "the name of a client's certificate must not be empty"};
  if (kind == crypto::AlternativeName::dns) return CertificateName(kind, lower(text));
  if (kind != crypto::AlternativeName::ip) return CertificateName(kind, std::string(text));
  auto octets = crypto::parse_ip_address(text);
  if (!octets) return Error{ErrorCode::configuration, "no IP address: " + std::string(text)};
  return CertificateName(kind, std::move(*octets));
}

bool CertificateName::is(std::string_view other) const {
  return kind_ == crypto::AlternativeName::dns ? lower(other) == value_ : other == value_;
}

Result<SecretHash> SecretHash::parse(std::string_view text) {
  const Error malformed{ErrorCode::configuration, "a secret_hash is hmac-sha256$<salt>$<mac>, as --new-client-secret prints it"};
  if (!text.starts_with(scheme)) return malformed;
  text.remove_prefix(scheme.size());
  const auto dollar = text.find('$');
  if (dollar == std::string_view::npos) return malformed;
  auto salt = parse_base64url(text.substr(0, dollar));
  auto mac = parse_base64url(text.substr(dollar + 1));
  if (!salt || !mac || salt->size() != salt_bytes || mac->size() != mac_bytes) return malformed;
  return SecretHash(std::move(*salt), std::move(*mac));
}

Result<SecretHash> SecretHash::of(ByteView secret) {
  auto salt = crypto::random_bytes(salt_bytes);
  if (!salt) return salt.error();
  const auto mac = crypto::hmac_sha256(*salt, secret);
  return SecretHash(std::move(*salt), to_bytes(ByteView(mac)));
}

std::string SecretHash::text() const { return std::string(scheme) + encode_base64url(salt_) + "$" + encode_base64url(mac_); }

bool SecretHash::matches(ByteView secret) const { return same_secret(crypto::hmac_sha256(salt_, secret), mac_); }

Result<NewClientSecret> make_client_secret() {
  auto random = crypto::random_secret(32);
  if (!random) return random.error();
  std::string text = encode_base64url(random->reveal());
  const WipeAtExit wiped(text);
  auto hash = SecretHash::of(as_bytes(text));
  if (!hash) return hash.error();
  return NewClientSecret{Secret(as_bytes(text)), std::move(*hash)};
}

Result<Clients> Clients::make(std::vector<Client> clients) {
  Clients registered;
  for (auto& client : clients) {
    const auto id = client.id.text();
    const int ways =
        (client.key ? 1 : 0) + (client.secret ? 1 : 0) + (client.certificate_name ? 1 : 0) + (client.certificates.empty() ? 0 : 1);
    if (ways != 1) {
      return Error{ErrorCode::configuration,
                   "client " + id + " needs exactly one of spki, secret_hash, a name of its certificate, and certificate_sha256"};
    }
    if (client.dpop_bound && (client.certificate_bound || client.shows_certificate())) {
      return Error{ErrorCode::configuration, "dpop_bound stands beside a certificate, which the tokens are bound to, at client " + id};
    }
    if (client.allows(Compatibility::auth_login) && (!client.secret || client.dpop_bound || client.certificate_bound)) {
      return Error{ErrorCode::configuration, "auth-login is for a client with a secret_hash whose tokens are not bound: " + id};
    }
    if (client.key && client.key->algorithm() != crypto::KeyAlgorithm::p256) {
      return Error{ErrorCode::configuration, "the key of client " + id + " is not a P-256 key (ES256)"};
    }
    for (const auto& uri : client.redirect_uris) {
      if (is_redirect_uri(uri)) continue;
      std::string why = "a redirect address of client ";
      why.append(id).append(" is no safe one: ").append(uri);
      return Error{ErrorCode::configuration, std::move(why)};
    }
    if (!registered.clients_.try_emplace(id, std::move(client)).second) {
      return Error{ErrorCode::configuration, "client " + id + " stands twice"};
    }
  }
  return registered;
}

bool Clients::any(Compatibility one) const {
  return std::any_of(clients_.begin(), clients_.end(), [&](const auto& entry) { return entry.second.allows(one); });
}

const Client* Clients::find(std::string_view id) const {
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : &found->second;
}

}  // namespace intaglio::oauth
