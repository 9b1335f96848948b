#include "oauth/access_token.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "json/json.h"
#include "oauth/client_certificate.h"
#include "oauth/dpop.h"

namespace intaglio::oauth {
namespace {

constexpr std::string_view token_type = "at+jwt";
constexpr std::size_t max_token_bytes = 4096;

/// RFC 6750, 2.1: b64token.
bool is_token_character(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
         c == '+' || c == '/' || c == '=';
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::vector<std::string> split_scopes(std::string_view text) {
  std::vector<std::string> scopes;
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space != 0) scopes.emplace_back(text.substr(0, space));
    if (space == std::string_view::npos) break;
    text.remove_prefix(space + 1);
  }
  return scopes;
}

/// A claim that is there as a text, or is not there; anything else is no token that we made.
Result<std::string> optional_claim(const json::Value& claims, std::string_view name) {
  if (json::member(claims, name) == nullptr) return std::string();
  return json::text_member(claims, name);
}

void confirm(json::Value& payload, const Confirmation& bound) {
  if (!bound.key.empty()) payload["cnf"]["jkt"] = bound.key;
  if (!bound.certificate.empty()) payload["cnf"]["x5t#S256"] = bound.certificate;
}

/// Refused: a cnf that binds to nothing that we know.
Result<Confirmation> confirmation_of(const json::Value& claims) {
  const auto* confirmation = json::member(claims, "cnf");
  if (confirmation == nullptr) return Confirmation{};
  auto key = optional_claim(*confirmation, "jkt");
  auto certificate = optional_claim(*confirmation, "x5t#S256");
  if (!key || !certificate || (key->empty() && certificate->empty())) {
    return Error{ErrorCode::not_authorised, "the access token is bound to what we do not know"};
  }
  return Confirmation{std::move(*key), std::move(*certificate)};
}

}  // namespace

Result<ShownToken> shown_token(const http::Request& request) {
  const Error malformed{ErrorCode::invalid_request, "no Authorization header of the form Bearer token or DPoP token"};
  const auto header = request.headers.find("authorization");
  if (header == request.headers.end()) return malformed;
  const std::string_view value = header->second;
  for (const auto& [scheme, name] :
       {std::pair(TokenScheme::bearer, std::string_view("bearer ")), std::pair(TokenScheme::dpop, std::string_view("dpop "))}) {
    if (value.size() <= name.size() || value.size() > name.size() + max_token_bytes) continue;
    const auto prefix = value.substr(0, name.size());
    if (!std::equal(prefix.begin(), prefix.end(), name.begin(), [](char a, char b) { return lower(a) == b; })) continue;
    const auto token = value.substr(name.size());
    if (!std::all_of(token.begin(), token.end(), is_token_character)) return malformed;
    return ShownToken{scheme, token};
  }
  return malformed;
}

Result<std::string_view> bearer_token(const http::Request& request) {
  const auto shown = shown_token(request);
  if (!shown) return shown.error();
  if (shown->scheme != TokenScheme::bearer) return Error{ErrorCode::invalid_request, "no Authorization header of the form Bearer token"};
  return shown->token;
}

Result<std::unique_ptr<AccessTokens>> AccessTokens::make(AccessTokenConfig config, TokenKeys keys, std::shared_ptr<const Clients> clients,
                                                         std::shared_ptr<const Grants> grants, std::shared_ptr<const Clock> clock) {
  if (config.life > max_access_token_life) return Error{ErrorCode::configuration, "access tokens of more than a day"};
  return std::unique_ptr<AccessTokens>(
      new AccessTokens(std::move(config), std::move(keys), std::move(clients), std::move(grants), std::move(clock)));
}

Result<std::unique_ptr<AccessTokens>> AccessTokens::make(AccessTokenConfig config, std::shared_ptr<const crypto::Signer> signer,
                                                         std::shared_ptr<const Clients> clients, std::shared_ptr<const Grants> grants,
                                                         std::shared_ptr<const Clock> clock) {
  auto keys = TokenKeys::make(std::move(signer));
  if (!keys) return keys.error();
  return make(std::move(config), std::move(*keys), std::move(clients), std::move(grants), std::move(clock));
}

AccessTokens::AccessTokens(AccessTokenConfig config, TokenKeys keys, std::shared_ptr<const Clients> clients,
                           std::shared_ptr<const Grants> grants, std::shared_ptr<const Clock> clock)
    : config_(std::move(config)),
      keys_(std::make_shared<const TokenKeys>(std::move(keys))),
      clients_(std::move(clients)),
      grants_(std::move(grants)),
      clock_(std::move(clock)),
      remembered_(config_.max_remembered) {}

std::shared_ptr<const TokenKeys> AccessTokens::keys() const {
  const std::lock_guard lock(keys_mutex_);
  return keys_;
}

void AccessTokens::take_keys(TokenKeys keys) {
  auto taken = std::make_shared<const TokenKeys>(std::move(keys));
  const std::lock_guard lock(keys_mutex_);
  keys_ = std::move(taken);
}

Result<std::string> AccessTokens::sign(const json::Value& payload, UnixTime now) const {
  const auto known = keys();
  const auto& key = known->current(now);
  return crypto::make_jws(*key.signer, token_type, key.kid, json::encode(payload));
}

Result<IssuedToken> AccessTokens::issue(const Client& client, std::string_view scope, const Confirmation& bound) const {
  auto id = crypto::random_id();
  if (!id) return id.error();
  const auto now = clock_->now();
  json::Value payload{{"iss", config_.issuer},    {"aud", config_.issuer},
                      {"sub", client.id.text()},  {"client_id", client.id.text()},
                      {"scope", scope},           {"jti", *id},
                      {"iat", unix_seconds(now)}, {"exp", unix_seconds(now + config_.life)}};
  confirm(payload, bound);
  auto token = sign(payload, now);
  if (!token) return token.error();
  return IssuedToken{std::move(*token), config_.life};
}

Result<IssuedToken> AccessTokens::issue(const Client& client, const GrantedToken& granted) const {
  auto id = crypto::random_id();
  if (!id) return id.error();
  const auto now = clock_->now();
  const auto life = std::min(granted.life, max_access_token_life);
  json::Value payload{{"iss", config_.issuer},         {"aud", config_.issuer},           {"sub", granted.signer},
                      {"client_id", client.id.text()}, {"scope", granted.scope},          {"jti", *id},
                      {"iat", unix_seconds(now)},      {"exp", unix_seconds(now + life)}, {"grant", granted.grant}};
  confirm(payload, granted.bound);
  if (!granted.credential.empty()) payload["credentialID"] = granted.credential;
  auto token = sign(payload, now);
  if (!token) return token.error();
  return IssuedToken{std::move(*token), life};
}

Result<std::string> AccessTokens::jwks() const {
  auto set = json::Value::array();
  const auto known = keys();
  for (const auto* key : known->shown(clock_->now())) {
    const auto encoded = crypto::encode_jwk(key->signer->public_key());
    if (!encoded) return encoded.error();
    auto jwk = json::parse(*encoded);
    if (!jwk) return jwk.error();
    (*jwk)["kid"] = key->kid;
    (*jwk)["use"] = "sig";
    (*jwk)["alg"] = "ES256";
    set.push_back(std::move(*jwk));
  }
  return json::encode({{"keys", std::move(set)}});
}

Result<AccessTokens::Claims> AccessTokens::verify(std::string_view token, UnixTime now) const {
  const auto header = crypto::peek_jws_header(token);
  const auto known = keys();
  const auto* key = header ? known->believed(header->kid, now) : nullptr;
  if (key == nullptr) return Error{ErrorCode::not_authorised, "not an access token of ours: under none of our keys"};
  auto payload = crypto::verify_jws(token, token_type, key->signer->public_key());
  if (!payload) return Error{ErrorCode::not_authorised, "not an access token of ours: " + payload.error().detail};
  auto claims = json::parse(*payload);
  if (!claims) return Error{ErrorCode::not_authorised, "the payload of the access token is not JSON"};
  const auto issuer = json::text_member(*claims, "iss");
  const auto audience = json::text_member(*claims, "aud");
  const auto client = json::text_member(*claims, "client_id");
  const auto scope = json::text_member(*claims, "scope");
  const auto expires = json::integer_member(*claims, "exp");
  if (!issuer || !audience || !client || !scope || !expires)
    return Error{ErrorCode::not_authorised, "a claim of the access token is missing"};
  if (refused_by("oauth.token.issuer", *issuer != config_.issuer))
    return Error{ErrorCode::not_authorised, "access token of another issuer"};
  if (refused_by("oauth.token.audience", *audience != config_.issuer))
    return Error{ErrorCode::not_authorised, "access token for another audience"};
  if (refused_by("oauth.token.expired", *expires <= unix_seconds(now))) return Error{ErrorCode::ticket_expired, "the access token ended"};
  const auto grant = optional_claim(*claims, "grant");
  const auto credential = optional_claim(*claims, "credentialID");
  const auto subject = json::text_member(*claims, "sub");
  auto bound = confirmation_of(*claims);
  if (!grant || !credential || !subject || !bound) return Error{ErrorCode::not_authorised, "a claim of the access token is missing"};
  return Claims{*client,
                *scope,
                grant->empty() ? std::string() : *subject,
                *grant,
                *credential,
                std::move(*bound),
                std::min(from_unix_seconds(*expires), key->ends)};
}

Result<std::shared_ptr<const AccessTokens::Claims>> AccessTokens::recognise(std::string_view token, const crypto::Sha256Digest& digest,
                                                                            UnixTime now) {
  std::shared_ptr<const Claims> claims;
  if (auto known = remembered_.find(digest, now)) {
    claims = std::move(*known);
  } else {
    auto verified = verify(token, now);
    if (!verified) return verified.error();
    const auto until = verified->expires;
    claims = remembered_.insert(digest, std::make_shared<const Claims>(std::move(*verified)), until, now);
  }
  if (refused_by("oauth.token.client", clients_->find(claims->client) == nullptr)) {
    return Error{ErrorCode::not_authorised, "access token of a client that is no longer registered"};
  }
  return claims;
}

Result<http::Principal> AccessTokens::live(const Claims& claims, const crypto::Sha256Digest& digest) const {
  if (const auto live = grants_->check_live(digest, claims.grant); !live) return live.error();
  return http::Principal{claims.client, claims.signer, split_scopes(claims.scope), claims.grant, claims.credential};
}

Result<http::Principal> AccessTokens::check(const http::Request& request) {
  const auto shown = shown_token(request);
  if (!shown) return shown.error();
  const auto now = clock_->now();
  const auto digest = crypto::sha256(as_bytes(shown->token));
  const auto recognised = recognise(shown->token, digest, now);
  if (!recognised) return recognised.error();
  const auto& claims = **recognised;
  if (refused_by("oauth.token.bound", !claims.bound.key.empty() && shown->scheme != TokenScheme::dpop)) {
    return Error{ErrorCode::not_authorised, "an access token that is bound to a key, without its proof"};
  }
  if (shown->scheme == TokenScheme::dpop) {
    const auto key = verify_dpop_proof(request, config_.issuer, shown->token, *grants_, now);
    if (!key) return key.error();
    if (refused_by("oauth.token.key", *key != claims.bound.key)) return Error{ErrorCode::not_authorised, "the proof is of another key"};
  }
  if (!claims.bound.certificate.empty()) {
    const auto certificate = ClientCertificate::of(request, now);
    const bool same = certificate && certificate->thumbprint() == claims.bound.certificate;
    if (refused_by("oauth.token.certificate", !same)) {
      return Error{ErrorCode::not_authorised, "an access token that is bound to a certificate, over a connection without it"};
    }
  }
  return live(claims, digest);
}

bool AccessTokens::is_access_token(std::string_view text) {
  const auto header = crypto::peek_jws_header(text);
  return header && header->typ == token_type;
}

Result<http::Principal> AccessTokens::check_text(std::string_view token) {
  if (token.size() > max_token_bytes) return Error{ErrorCode::not_authorised, "an access token that is too long to be ours"};
  const auto digest = crypto::sha256(as_bytes(token));
  const auto recognised = recognise(token, digest, clock_->now());
  if (!recognised) return recognised.error();
  if (refused_by("oauth.token.bound_in_body", !(*recognised)->bound.empty())) {
    return Error{ErrorCode::not_authorised, "an access token that is bound, in a body"};
  }
  return live(**recognised, digest);
}

Result<TokenOwner> AccessTokens::owner(std::string_view token) const {
  auto claims = verify(token, clock_->now());
  if (!claims) return claims.error();
  return TokenOwner{std::move(claims->client), claims->expires};
}

http::Response access_refusal(const http::Request& request, const Error& error) {
  http::Response answer;
  const auto shown = shown_token(request);
  const std::string challenge =
      shown && shown->scheme == TokenScheme::dpop ? "DPoP algs=\"ES256\", error=\"invalid_token\"" : "Bearer error=\"invalid_token\"";
  switch (error.code) {
    case ErrorCode::invalid_request:
      answer = http::error_answer(400, "invalid_request", "Malformed authorization header.");
      answer.headers.emplace_back("WWW-Authenticate", "Bearer");
      break;
    case ErrorCode::storage_unavailable:
      return http::error_answer(503, "temporarily_unavailable", "The service is temporarily unavailable");
    case ErrorCode::ticket_expired:
      answer = http::error_answer(401, "expired_token", "The access or refresh token is expired or has been revoked");
      answer.headers.emplace_back("WWW-Authenticate", challenge);
      break;
    default:
      answer = http::error_answer(401, "invalid_token", "The token provided is not a valid OAuth access or refresh token");
      answer.headers.emplace_back("WWW-Authenticate", challenge);
      break;
  }
  return answer;
}

}  // namespace intaglio::oauth
