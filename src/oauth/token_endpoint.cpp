#include "oauth/token_endpoint.h"

#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "http/routes.h"
#include "json/json.h"

namespace intaglio::oauth {

struct TokenEndpoint::Refusal {
  unsigned status;
  std::string_view error;
  std::string description;
};

namespace {

constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::string_view service_scope = "service";
/// How far the clock of a client may run ahead of ours.
constexpr std::chrono::seconds clock_skew{30};
constexpr std::size_t max_jti_length = 256;

bool is_form(const http::Request& request) {
  const auto type = request.headers.find("content-type");
  if (type == request.headers.end()) return false;
  return std::string_view(type->second).substr(0, type->second.find(';')) == "application/x-www-form-urlencoded";
}

/// `id:secret`, both form-encoded, in base64 (RFC 6749, 2.3.1).
struct Basic {
  std::string id, secret;
};
std::optional<Basic> parse_basic(std::string_view header) {
  constexpr std::string_view prefix = "Basic ";
  if (!header.starts_with(prefix)) return std::nullopt;
  auto decoded = parse_base64(header.substr(prefix.size()));
  if (!decoded) return std::nullopt;
  const WipeAtExit wiped(*decoded);
  const auto text = as_text(*decoded);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto id = decode_form_value(text.substr(0, colon));
  auto secret = decode_form_value(text.substr(colon + 1));
  if (!id || !secret) return std::nullopt;
  return Basic{std::move(*id), std::move(*secret)};
}

/// A text, or an array that holds this text alone: an assertion for us and somebody else could be replayed by either.
bool is_audience(const json::Value& claims, const std::string& issuer, const std::string& endpoint) {
  const auto* audience = json::member(claims, "aud");
  if (audience != nullptr && audience->is_array() && audience->size() == 1) audience = &audience->front();
  const auto* text = audience == nullptr ? nullptr : audience->get_ptr<const json::Value::string_t*>();
  return text != nullptr && (*text == issuer || *text == endpoint);
}

}  // namespace

const std::vector<storage::Migration>& migrations() {
  static const std::vector<storage::Migration> series{{1, R"sql(
CREATE TABLE oauth_used_assertions (
  client TEXT NOT NULL,
  jti BLOB NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (client, jti)
);
CREATE INDEX oauth_used_assertions_by_end ON oauth_used_assertions (expires);
)sql"}};
  return series;
}

TokenEndpoint::TokenEndpoint(TokenEndpointConfig config, std::shared_ptr<const Clients> clients, std::shared_ptr<AccessTokens> tokens,
                             std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : config_(std::move(config)),
      clients_(std::move(clients)),
      tokens_(std::move(tokens)),
      database_(std::move(database)),
      clock_(std::move(clock)) {}

http::Response TokenEndpoint::refuse(const http::Request& request, const Refusal& refusal) const {
  auto answer = http::error_answer(refusal.status, refusal.error, refusal.description);
  answer.headers.emplace_back("Cache-Control", "no-store");
  if (refusal.status == 401) answer.headers.emplace_back("WWW-Authenticate", "Basic realm=\"oauth2/token\"");
  log::info("token.refused", {{"request", request.request_id}, {"error", std::string(refusal.error)}, {"why", refusal.description}});
  return answer;
}

std::variant<const Client*, TokenEndpoint::Refusal> TokenEndpoint::authenticate(const http::Request& request, const Form& form) const {
  const auto* id = form.find("client_id");
  const auto* secret = form.find("client_secret");
  const auto* assertion = form.find("client_assertion");
  std::optional<Basic> basic;
  if (const auto header = request.headers.find("authorization"); header != request.headers.end()) {
    basic = parse_basic(header->second);
    if (!basic) return Refusal{401, "invalid_client", "Invalid authorization header"};
    if (id == nullptr) id = &basic->id;
  }
  std::optional<WipeAtExit> wiped;
  if (basic) wiped.emplace(basic->secret);

  if (id == nullptr || id->empty()) return Refusal{400, "invalid_request", "Missing parameter client_id"};
  if (form.find("grant_type") == nullptr) return Refusal{400, "invalid_request", "Missing parameter grant_type"};
  if (*form.find("grant_type") != "client_credentials") return Refusal{400, "invalid_request", "Invalid parameter grant_type"};
  const auto* client = clients_->find(*id);
  if (client == nullptr || (basic && basic->id != *id)) return Refusal{400, "invalid_request", "Invalid parameter client_id"};

  // RFC 6749, 2.3: one way of authentication per request.
  const int ways = (basic ? 1 : 0) + (secret != nullptr ? 1 : 0) + (assertion != nullptr ? 1 : 0);
  if (ways == 0) return Refusal{401, "invalid_request", "Client authorization required"};
  if (ways > 1) return Refusal{400, "invalid_request", "More than one client authentication"};

  if (assertion != nullptr) {
    const auto* type = form.find("client_assertion_type");
    if (type == nullptr || *type != assertion_type) return Refusal{400, "invalid_request", "Invalid parameter client_assertion_type"};
    const auto checked = check_assertion(*client, *assertion);
    if (!checked && checked.error().code == ErrorCode::storage_unavailable) {
      return Refusal{503, "temporarily_unavailable", "The authorization server is temporarily unavailable"};
    }
    if (!checked) {
      log::refusal("token.assertion_refused", checked.error(), {{"request", request.request_id}, {"client", *id}});
      return Refusal{401, "invalid_client", "Invalid parameter client_assertion"};
    }
    return client;
  }
  const auto& shown = basic ? basic->secret : *secret;
  if (refused_by("oauth.client.secret", !client->secret || !client->secret->matches(as_bytes(shown)))) {
    return Refusal{400, "invalid_request", "Invalid parameter client_secret"};
  }
  return client;
}

Status TokenEndpoint::check_assertion(const Client& client, std::string_view assertion) const {
  const auto because = [&](std::string_view why) { return Error{ErrorCode::not_authorised, std::string(why)}; };
  if (!client.key) return because("the client is not registered for private_key_jwt");
  const auto header = crypto::peek_jws_header(assertion);
  if (!header) return header.error();
  // RFC 7523 names no type; RFC 8725, 3.11: a token of another kind (an access token, a SAD) is not taken for an assertion.
  if (refused_by("oauth.assertion.type", !header->typ.empty() && header->typ != "JWT" && header->typ != "client-authentication+jwt")) {
    return because("the typ of the assertion is that of another kind of token");
  }
  const auto payload = crypto::verify_jws(assertion, header->typ, *client.key);
  if (!payload) return because("the assertion is not signed with the client's key: " + payload.error().detail);
  const auto claims = json::parse(*payload);
  if (!claims) return because("the payload of the assertion is not JSON");
  const auto issuer = json::text_member(*claims, "iss");
  const auto subject = json::text_member(*claims, "sub");
  const auto jti = json::text_member(*claims, "jti", max_jti_length);
  const auto expires = json::integer_member(*claims, "exp");
  if (!issuer || !subject || !jti || jti->empty() || !expires) return because("the assertion lacks iss, sub, jti or exp");
  const auto is_client = *issuer == client.id.text() && *subject == client.id.text();
  if (refused_by("oauth.assertion.subject", !is_client)) return because("iss and sub are not the client");
  const auto ours = is_audience(*claims, config_.issuer, config_.token_endpoint);
  if (refused_by("oauth.assertion.audience", !ours)) return because("the assertion is for another audience");

  const auto now = unix_seconds(clock_->now());
  if (refused_by("oauth.assertion.expired", *expires <= now)) return because("the assertion is expired");
  if (refused_by("oauth.assertion.life", *expires > now + config_.max_assertion_life.count() + clock_skew.count())) {
    return because("the assertion lives too long");
  }
  for (const std::string_view name : {"iat", "nbf"}) {
    if (json::member(*claims, name) == nullptr) continue;
    const auto moment = json::integer_member(*claims, name);
    if (!moment || refused_by("oauth.assertion.future", *moment > now + clock_skew.count()))
      return because("the assertion is of the future");
  }
  return consume_assertion(client, *jti, from_unix_seconds(*expires));
}

Status TokenEndpoint::consume_assertion(const Client& client, std::string_view jti, UnixTime until) const {
  const auto digest = crypto::sha256(as_bytes(jti));
  const auto now = unix_seconds(clock_->now());
  return database_->write([&](storage::Transaction& transaction) -> Status {
    // What has expired is refused for its age: nothing is lost with its row.
    auto purged = transaction.execute("DELETE FROM oauth_used_assertions WHERE expires < ?1", {now - clock_skew.count()});
    if (!purged) return purged.error();
    auto used = transaction.execute("INSERT INTO oauth_used_assertions (client, jti, expires) VALUES (?1, ?2, ?3)",
                                    {std::string_view(client.id.text()), ByteView(digest), unix_seconds(until)});
    if (used) return {};
    if (used.error().code != ErrorCode::conflict) return used.error();
    if (refused_by("oauth.assertion.replayed", true)) return Error{ErrorCode::replayed, "the assertion was used before"};
    return {};
  });
}

http::Response TokenEndpoint::answer(const http::Request& request) const {
  if (!is_form(request)) {
    return refuse(request, {400, "invalid_request", "The body of a token request is application/x-www-form-urlencoded"});
  }
  const auto form = Form::parse(request.body);
  if (!form) return refuse(request, {400, "invalid_request", "A parameter is malformed or came twice"});
  const auto authenticated = authenticate(request, *form);
  if (const auto* refusal = std::get_if<Refusal>(&authenticated)) return refuse(request, *refusal);
  const auto& client = *std::get<const Client*>(authenticated);

  const auto* scope = form->find("scope");
  if (scope != nullptr && *scope != service_scope) {
    return refuse(request, {400, "invalid_scope", "The requested scope is invalid, unknown, or malformed"});
  }
  const auto issued = tokens_->issue(client, service_scope);
  if (!issued) {
    log::refusal("token.failed", issued.error(), {{"request", request.request_id}});
    return refuse(request, {503, "temporarily_unavailable", "The authorization server is temporarily unavailable"});
  }
  const json::Value body{
      {"access_token", issued->token}, {"token_type", "Bearer"}, {"expires_in", issued->expires_in.count()}, {"scope", service_scope}};
  auto answer = http::json_answer(json::encode(body));
  answer.headers.emplace_back("Cache-Control", "no-store");
  log::info("token.issued", {{"request", request.request_id}, {"client", client.id.text()}});
  return answer;
}

}  // namespace intaglio::oauth
