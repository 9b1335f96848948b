#include "ssa/signer/identity_provider.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "json/json.h"
#include "oauth/form.h"

namespace intaglio::ssa::signer {
namespace {

/// As much as a SAP message may hold (api/sap/README.md, 6).
constexpr std::size_t max_id_token = 16384;
constexpr std::size_t max_answer = 64 * 1024;
constexpr std::chrono::seconds assertion_life{60};
constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

Error refused(std::string detail) { return {ErrorCode::not_authorised, "the identity provider: " + std::move(detail)}; }

/// The claims of a compact JWS, as they stand: nothing is verified.
Result<json::Value> claims_of(std::string_view compact) {
  const auto first = compact.find('.');
  const auto second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos) return refused("an ID token that is no JWS");
  auto payload = parse_base64url(compact.substr(first + 1, second - first - 1));
  if (!payload) return refused("an ID token that is no JWS");
  const WipeAtExit wiped(*payload);
  auto claims = json::parse(as_text(*payload));
  if (!claims || !claims->is_object()) return refused("an ID token without claims");
  return claims;
}

/// `aud`: a text, or a list that holds it (RFC 7519, 4.1.3).
bool is_for(const json::Value& claims, const std::string& client) {
  const auto* audience = json::member(claims, "aud");
  if (audience == nullptr) return false;
  if (audience->is_array()) return std::find(audience->begin(), audience->end(), json::Value(client)) != audience->end();
  return *audience == json::Value(client);
}

}  // namespace

Result<Secret> parse_token_answer(std::string& body) {
  const WipeAtExit wiped_body(body);
  auto answer = json::parse(body, {.max_bytes = max_answer});
  if (!answer) return refused("an answer that is no JSON");
  const json::WipeAtExit wiped(*answer);
  const auto* value = answer->is_object() ? json::member(*answer, "id_token") : nullptr;
  const auto* token = value == nullptr ? nullptr : value->get_ptr<const json::Value::string_t*>();
  if (token == nullptr || token->empty() || token->size() > max_id_token) return refused("an answer without an ID token");
  return Secret(as_bytes(*token));
}

IdentityProvider::IdentityProvider(IdentityProviderConfig config, ClientProof proof, AskProvider ask, std::shared_ptr<const Clock> clock)
    : config_(std::move(config)), proof_(std::move(proof)), ask_(std::move(ask)), clock_(std::move(clock)) {}

std::string IdentityProvider::address(std::string_view state, std::string_view nonce, std::string_view code_verifier) const {
  std::string levels;
  for (const auto& level : config_.acr_values) levels.append(levels.empty() ? "" : " ").append(level);
  const auto challenge = encode_base64url(crypto::sha256(as_bytes(code_verifier)));
  std::vector<std::pair<std::string_view, std::string_view>> parameters{{"response_type", "code"},
                                                                        {"client_id", config_.client_id},
                                                                        {"redirect_uri", config_.redirect_uri},
                                                                        {"scope", config_.scope},
                                                                        {"state", state},
                                                                        {"nonce", nonce},
                                                                        {"code_challenge", challenge},
                                                                        {"code_challenge_method", "S256"},
                                                                        {"prompt", "login"},
                                                                        {"max_age", "0"}};
  if (!levels.empty()) parameters.emplace_back("acr_values", levels);
  auto address = config_.authorization_endpoint;
  char separator = address.find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : parameters) {
    address.push_back(separator);
    address.append(name).append("=").append(oauth::encode_form_value(value));
    separator = '&';
  }
  return address;
}

Status IdentityProvider::check_issuer(const std::optional<std::string>& issuer) const {
  const bool another = issuer ? *issuer != config_.issuer : config_.answers_name_issuer;
  if (refused_by("ssa.identity.issuer", another)) return refused("an answer of another issuer, or of none");
  return {};
}

Status IdentityProvider::prove(outbound::HttpHeaders& values, outbound::HttpHeaders& headers) const {
  if (const auto* basic = std::get_if<ClientSecret>(&proof_)) {
    auto pair = oauth::encode_form_value(config_.client_id) + ":" + oauth::encode_form_value(as_text(basic->secret.reveal()));
    const WipeAtExit wiped(pair);
    headers.emplace_back("Authorization", "Basic " + encode_base64(as_bytes(pair)));
    return {};
  }
  const auto& own = std::get<ClientKey>(proof_);
  const auto id = crypto::random_id();
  if (!id) return id.error();
  const auto now = clock_->now();
  const auto claims = json::encode({{"iss", config_.client_id},
                                    {"sub", config_.client_id},
                                    {"aud", own.audience},
                                    {"jti", *id},
                                    {"iat", unix_seconds(now)},
                                    {"exp", unix_seconds(now + assertion_life)}});
  auto assertion = crypto::make_jws(*own.key, "JWT", own.kid, claims);
  if (!assertion) return assertion.error();
  values.emplace_back("client_id", config_.client_id);
  values.emplace_back("client_assertion_type", assertion_type);
  values.emplace_back("client_assertion", std::move(*assertion));
  return {};
}

Status IdentityProvider::check_claims(std::string_view id_token, std::string_view nonce) const {
  auto claims = claims_of(id_token);
  if (!claims) return claims.error();
  const json::WipeAtExit wiped(*claims);
  const auto is = [&](std::string_view name, std::string_view expected) {
    const auto* value = json::member(*claims, name);
    return value != nullptr && *value == json::Value(expected);
  };
  const bool ours = is("iss", config_.issuer) && is_for(*claims, config_.client_id);
  if (refused_by("ssa.identity.audience", !ours)) return refused("an ID token of another issuer or for another client");
  if (refused_by("ssa.identity.nonce", !is("nonce", nonce))) return refused("an ID token for something else");
  return {};
}

Result<Secret> IdentityProvider::redeem(const std::string& code, const std::string& code_verifier, std::string_view nonce) const {
  outbound::HttpHeaders values{
      {"grant_type", "authorization_code"}, {"code", code}, {"redirect_uri", config_.redirect_uri}, {"code_verifier", code_verifier}};
  outbound::HttpHeaders headers{{"Accept", "application/json"}};
  const auto proved = prove(values, headers);
  auto answer = proved ? ask_(config_.token_endpoint, values, headers) : Result<outbound::HttpAnswer>(proved.error());
  for (auto* sent : {&values, &headers}) {
    for (auto& [name, value] : *sent) wipe(value);
  }
  if (!answer) return Error{ErrorCode::busy, "the identity provider: " + answer.error().detail};
  if (answer->status >= 500) return Error{ErrorCode::busy, "the identity provider: status " + std::to_string(answer->status)};
  if (answer->status != 200) return refused("status " + std::to_string(answer->status));
  auto token = parse_token_answer(answer->body);
  if (!token) return token.error();
  if (auto checked = check_claims(as_text(token->reveal()), nonce); !checked) return checked.error();
  return token;
}

}  // namespace intaglio::ssa::signer
