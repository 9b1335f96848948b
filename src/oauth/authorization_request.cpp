#include "oauth/authorization_request.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/secret.h"

namespace intaglio::oauth {
namespace {

constexpr std::size_t max_state_bytes = 512;
constexpr std::size_t max_description_bytes = 500;

constexpr auto request_parameters = std::to_array<std::string_view>(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "authorization_details",
     "credentialID", "signatureQualifier", "numSignatures", "hashes", "hashAlgorithmOID", "description", "lang", "clientData"});
/// What describes a credential outside authorization_details.
constexpr auto credential_parameters =
    std::to_array<std::string_view>({"credentialID", "signatureQualifier", "numSignatures", "hashes", "hashAlgorithmOID"});

struct Scopes {
  bool service = false, credential = false;
};
std::optional<Scopes> parse_scopes(std::string_view text) {
  Scopes scopes;
  while (!text.empty()) {
    const auto space = text.find(' ');
    const auto one = text.substr(0, space);
    if (one == "service") {
      scopes.service = true;
    } else if (one == "credential") {
      scopes.credential = true;
    } else {
      return std::nullopt;
    }
    text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  }
  return scopes;
}

std::string_view value_of(const Form& form, std::string_view name) {
  const auto* value = form.find(name);
  return value == nullptr ? std::string_view{} : std::string_view(*value);
}

std::variant<std::optional<crypto::Sha256Digest>, Refusal> parse_challenge(const Form& form, const Client& client) {
  const auto* text = form.find("code_challenge");
  // One that sends a challenge is held to it, whatever it may do without.
  if (text == nullptr && form.find("code_challenge_method") == nullptr && client.allows(Compatibility::no_pkce)) return std::nullopt;
  if (refused_by("oauth.request.challenge", text == nullptr)) return invalid_request("Missing parameter code_challenge");
  // Without a method it is `plain` (RFC 7636, 4.3), which whoever reads the request could answer.
  if (refused_by("oauth.request.challenge_method", value_of(form, "code_challenge_method") != "S256")) {
    return invalid_request("Invalid parameter code_challenge_method");
  }
  crypto::Sha256Digest challenge{};
  const auto bytes = parse_base64url(text == nullptr ? "" : *text);
  if (!bytes || bytes->size() != challenge.size()) return invalid_request("Invalid parameter code_challenge");
  std::copy(bytes->begin(), bytes->end(), challenge.begin());
  return std::optional(challenge);
}

struct Wanted {
  CredentialRequest credential;
  std::optional<json::Value> details;
};
std::variant<Wanted, Refusal> parse_wanted(const Form& form, const Scopes& scopes, std::string_view base_url) {
  if (const auto* text = form.find("authorization_details"); text != nullptr) {
    const auto doubled = std::any_of(credential_parameters.begin(), credential_parameters.end(),
                                     [&](std::string_view name) { return form.find(name) != nullptr; });
    if (refused_by("oauth.request.ambiguous", doubled)) {
      return invalid_request("What authorization_details say of a credential stands in no other parameter");
    }
    auto details = parse_authorization_details(*text, base_url);
    if (!details) return Refusal{400, "invalid_authorization_details", details.error().detail};
    return Wanted{std::move(details->request), std::move(details->stated)};
  }
  // A sign-in alone is no approval: only what the SAM verified stands behind a code.
  if (!scopes.credential) return Refusal{400, "invalid_scope", "Only scope credential, or authorization_details, is offered here"};
  if (form.find("signatureQualifier") != nullptr) return invalid_request("Invalid parameter signatureQualifier");
  if (form.find("credentialID") == nullptr) return invalid_request("Missing parameter credentialID");
  if (form.find("numSignatures") == nullptr) return invalid_request("Missing parameter numSignatures");
  if (form.find("hashes") == nullptr) return invalid_request("Missing parameter hashes");
  if (form.find("hashAlgorithmOID") == nullptr) return invalid_request("Missing parameter hashAlgorithmOID");
  auto credential = parse_credential_parameters(value_of(form, "credentialID"), value_of(form, "numSignatures"), value_of(form, "hashes"),
                                                value_of(form, "hashAlgorithmOID"));
  if (!credential) return invalid_request(credential.error().detail);
  return Wanted{std::move(*credential), std::nullopt};
}

}  // namespace

std::variant<RedirectTarget, Refusal> parse_redirect_target(const Form& form, const Client& client) {
  if (client.redirect_uris.empty()) return Refusal{400, "unauthorized_client", "The client is not registered for authorization codes"};
  RedirectTarget target{"", false, std::nullopt};
  const auto* uri = form.find("redirect_uri");
  if (uri != nullptr) {
    if (refused_by("oauth.request.redirect", !client.redirect_uris.contains(*uri)))
      return invalid_request("Invalid parameter redirect_uri");
    target.uri = *uri;
    target.stated = true;
  } else {
    if (client.redirect_uris.size() != 1) return invalid_request("Missing parameter redirect_uri");
    target.uri = *client.redirect_uris.begin();
  }
  if (const auto* state = form.find("state"); state != nullptr) {
    if (state->size() > max_state_bytes) return invalid_request("Invalid parameter state");
    target.state = *state;
  }
  return target;
}

std::variant<AuthorizationRequest, Refusal> parse_authorization_request(const Form& form, RedirectTarget target, const Client& client,
                                                                        std::string_view base_url) {
  const auto type = value_of(form, "response_type");
  if (type.empty()) return invalid_request("Missing parameter response_type");
  if (type != "code") {
    return Refusal{400, "unsupported_response_type",
                   "The authorization server does not support obtaining an authorization code in this way"};
  }
  for (const std::string_view name : {"request", "request_uri"}) {
    if (form.find(name) != nullptr) return invalid_request("Invalid parameter " + std::string(name));
  }
  // OpenID Connect's way of naming another channel for the answer, which would carry a code past what was registered.
  if (const auto mode = value_of(form, "response_mode"); !mode.empty() && mode != "query") {
    return invalid_request("Invalid parameter response_mode");
  }
  const auto scopes = parse_scopes(value_of(form, "scope"));
  if (refused_by("oauth.request.scope", !scopes)) {
    return Refusal{400, "invalid_scope", "The requested scope is invalid, unknown, or malformed"};
  }
  const auto challenge = parse_challenge(form, client);
  if (const auto* refusal = std::get_if<Refusal>(&challenge)) return *refusal;
  if (value_of(form, "description").size() > max_description_bytes) return invalid_request("Invalid parameter description");
  const auto asked = scopes.value_or(Scopes{});
  auto wanted = parse_wanted(form, asked, base_url);
  if (const auto* refusal = std::get_if<Refusal>(&wanted)) return *refusal;
  auto& [credential, details] = std::get<Wanted>(wanted);
  return AuthorizationRequest{std::move(target), std::get<std::optional<crypto::Sha256Digest>>(challenge), asked.service,
                              std::move(credential), std::move(details)};
}

std::string authorization_parameters(const Form& form) {
  std::string kept;
  for (const auto name : request_parameters) {
    const auto* value = form.find(name);
    if (value == nullptr) continue;
    if (!kept.empty()) kept += '&';
    kept += std::string(name) + "=" + encode_form_value(*value);
  }
  return kept;
}

std::string redirect_to(const RedirectTarget& target, std::string_view issuer,
                        std::initializer_list<std::pair<std::string_view, std::string_view>> parameters) {
  auto uri = target.uri;
  char separator = uri.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](std::string_view name, std::string_view value) {
    uri += separator;
    uri += std::string(name) + "=" + encode_form_value(value);
    separator = '&';
  };
  for (const auto& [name, value] : parameters) add(name, value);
  if (target.state) add("state", *target.state);
  add("iss", issuer);
  return uri;
}

bool proves_challenge(std::string_view verifier, const crypto::Sha256Digest& challenge) {
  const auto plain = std::all_of(verifier.begin(), verifier.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
  });
  if (!plain || verifier.size() < 43 || verifier.size() > 128) return false;
  return same_secret(crypto::sha256(as_bytes(verifier)), challenge);
}

}  // namespace intaglio::oauth
