#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "crypto/digest.h"
#include "oauth/authorization_details.h"
#include "oauth/client.h"
#include "oauth/form.h"
#include "oauth/refusal.h"

namespace intaglio::oauth {

/// Where the answer to an authorization request goes, known before anything else of the request is judged (RFC 6749, 4.1.2.1).
struct RedirectTarget {
  std::string uri;
  bool stated;                       ///< by the request; otherwise it is the one that the client registered
  std::optional<std::string> state;
};

/// An authorization request that may be put before the signer (RFC 6749, 4.1.1; RFC 7636; csc-api 4.1).
struct AuthorizationRequest {
  RedirectTarget target;
  std::optional<crypto::Sha256Digest> code_challenge;  ///< S256, the only method; none for a client that Compatibility::no_pkce is for
  bool service;                         ///< scope `service` too: the token may be renewed for the service of this signer
  CredentialRequest credential;
  std::optional<json::Value> details;   ///< authorization_details as they came, when they were used
};

/// Refused: a redirect address that the client did not register, octet by octet; none when it registered several. Such a refusal is
/// never redirected.
[[nodiscard]] std::variant<RedirectTarget, Refusal> parse_redirect_target(const Form& form, const Client& client);
/// Everything else. The status of a refusal counts only where it is not redirected.
[[nodiscard]] std::variant<AuthorizationRequest, Refusal> parse_authorization_request(const Form& form, RedirectTarget target,
                                                                                      const Client& client, std::string_view base_url);
/// The parameters of an authorization request alone, as a form again: no client authentication is ever stored.
[[nodiscard]] std::string authorization_parameters(const Form& form);

/// `uri` with the parameters of an authorization response, `state` and `iss` (RFC 9207) among them.
[[nodiscard]] std::string redirect_to(const RedirectTarget& target, std::string_view issuer,
                                      std::initializer_list<std::pair<std::string_view, std::string_view>> parameters);

/// BASE64URL(SHA256(verifier)) is the challenge, and the verifier has the form of RFC 7636, 4.1.
[[nodiscard]] bool proves_challenge(std::string_view verifier, const crypto::Sha256Digest& challenge);

}  // namespace intaglio::oauth
