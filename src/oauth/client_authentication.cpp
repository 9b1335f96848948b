#include "oauth/client_authentication.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "json/json.h"
#include "oauth/client_certificate.h"

namespace intaglio::oauth {
namespace {

constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far the clock of a client may run ahead of ours.
constexpr std::chrono::seconds clock_skew{30};
constexpr std::size_t max_jti_length = 256;

std::optional<std::string> copy_of(const std::string* text) {
  if (text == nullptr) return std::nullopt;
  return *text;
}

/// A text, or an array that holds this text alone: an assertion for us and somebody else could be replayed by either.
bool is_audience(const json::Value& claims, const std::vector<std::string>& audiences) {
  const auto* audience = json::member(claims, "aud");
  if (audience != nullptr && audience->is_array() && audience->size() == 1) audience = &audience->front();
  const auto* text = audience == nullptr ? nullptr : audience->get_ptr<const json::Value::string_t*>();
  return text != nullptr && std::find(audiences.begin(), audiences.end(), *text) != audiences.end();
}

}  // namespace

/// `id:secret`, both form-encoded, in base64 (RFC 6749, 2.3.1).
std::optional<ShownClient::Basic> ShownClient::parse_basic(std::string_view header) {
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

std::variant<ShownClient, Refusal> ShownClient::read(const http::Request& request, const Form& form) {
  ShownClient shown;
  if (const auto header = request.headers.find("authorization"); header != request.headers.end()) {
    shown.basic_ = parse_basic(header->second);
    if (!shown.basic_) return Refusal{401, "invalid_client", "Invalid authorization header"};
    shown.id_ = shown.basic_->id;
  }
  if (const auto* id = form.find("client_id"); id != nullptr) shown.id_ = *id;
  if (shown.id_.empty()) return invalid_request("Missing parameter client_id");
  shown.secret_ = copy_of(form.find("client_secret"));
  shown.assertion_ = copy_of(form.find("client_assertion"));
  shown.assertion_type_ = copy_of(form.find("client_assertion_type"));
  return shown;
}

ShownClient::~ShownClient() {
  if (basic_) wipe(basic_->secret);
  if (secret_) wipe(*secret_);
}

ClientAuthentication::ClientAuthentication(ClientAuthenticationConfig config, std::shared_ptr<const Clients> clients,
                                           std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : config_(std::move(config)), clients_(std::move(clients)), database_(std::move(database)), clock_(std::move(clock)) {}

std::variant<const Client*, Refusal> ClientAuthentication::verify(const http::Request& request, const ShownClient& shown) const {
  auto client = authenticate(request, shown);
  if (std::holds_alternative<Refusal>(client)) return client;
  return within_limit(*std::get<const Client*>(client));
}

std::variant<const Client*, Refusal> ClientAuthentication::verify_login(std::string_view id, std::string_view secret) const {
  const Refusal failed{400, "authentication_error", "An error occurred during authentication process"};
  const auto* client = clients_->find(id);
  if (client == nullptr) return failed;
  if (refused_by("oauth.login.allowed", !client->allows(Compatibility::auth_login))) return failed;
  if (refused_by("oauth.login.secret", !client->secret || !client->secret->matches(as_bytes(secret)))) return failed;
  return within_limit(*client);
}

std::variant<const Client*, Refusal> ClientAuthentication::within_limit(const Client& client) const {
  const auto wait = config_.requests ? config_.requests->wait_for(client.id.text()) : std::nullopt;
  if (refused_by("oauth.limit.client", wait.has_value())) return too_many_requests(*wait);
  return &client;
}

std::variant<const Client*, Refusal> ClientAuthentication::authenticate(const http::Request& request, const ShownClient& shown) const {
  const auto* client = clients_->find(shown.id_);
  if (client == nullptr || (shown.basic_ && shown.basic_->id != shown.id_)) return invalid_request("Invalid parameter client_id");

  // RFC 6749, 2.3: one way of authentication per request.
  const int ways = (shown.basic_ ? 1 : 0) + (shown.secret_ ? 1 : 0) + (shown.assertion_ ? 1 : 0);
  if (ways == 0 && client->shows_certificate()) {
    if (const auto checked = check_certificate(*client, request); !checked) {
      log::refusal("token.certificate_refused", checked.error(), {{"request", request.request_id}, {"client", shown.id_}});
      return Refusal{401, "invalid_client", "The client certificate is missing or not that of the client"};
    }
    return client;
  }
  if (ways == 0) return Refusal{401, "invalid_request", "Client authorization required"};
  if (ways > 1) return invalid_request("More than one client authentication");

  if (shown.assertion_) {
    if (shown.assertion_type_ != assertion_type) return invalid_request("Invalid parameter client_assertion_type");
    const auto checked = check_assertion(*client, *shown.assertion_);
    if (!checked && checked.error().code == ErrorCode::storage_unavailable) return temporarily_unavailable();
    if (!checked) {
      log::refusal("token.assertion_refused", checked.error(), {{"request", request.request_id}, {"client", shown.id_}});
      return Refusal{401, "invalid_client", "Invalid parameter client_assertion"};
    }
    return client;
  }
  const auto& secret = shown.basic_ ? shown.basic_->secret : *shown.secret_;
  if (refused_by("oauth.client.secret", !client->secret || !client->secret->matches(as_bytes(secret)))) {
    return invalid_request("Invalid parameter client_secret");
  }
  return client;
}

Status ClientAuthentication::check_certificate(const Client& client, const http::Request& request) const {
  const auto now = clock_->now();
  const auto certificate = ClientCertificate::of(request, now);
  if (!certificate) return certificate.error();
  return certificate->check(client, config_.authorities, now);
}

Status ClientAuthentication::check_assertion(const Client& client, std::string_view assertion) const {
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
  const auto ours = is_audience(*claims, config_.audiences);
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

Status ClientAuthentication::consume_assertion(const Client& client, std::string_view jti, UnixTime until) const {
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

}  // namespace intaglio::oauth
