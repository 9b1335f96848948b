#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/signer.h"
#include "outbound/http_client.h"

namespace intaglio::ssa::signer {

/// What is registered of this service at the identity provider, and where that is.
struct IdentityProviderConfig {
  std::string issuer, authorization_endpoint, token_endpoint;
  std::string client_id;
  std::string redirect_uri;  ///< the page on which signers approve
  std::string scope = "openid";
  std::vector<std::string> acr_values;
  bool answers_name_issuer = true;  ///< every answer to the browser has `iss` (RFC 9207)
};

/// client_secret_basic (RFC 6749, 2.3.1).
struct ClientSecret {
  Secret secret;
};
/// private_key_jwt (RFC 7523), ES256.
struct ClientKey {
  std::shared_ptr<const crypto::Signer> key;
  std::string kid;
  std::string audience;
};
using ClientProof = std::variant<ClientSecret, ClientKey>;

/// POST of a form to the provider.
using AskProvider = std::function<Result<outbound::HttpAnswer>(std::string_view url, const outbound::HttpHeaders& values,
                                                               const outbound::HttpHeaders& headers)>;

/// Relying party of one OpenID Connect provider (Core 1.0, 3.1): the authorization code flow with PKCE S256 (RFC 7636), and each time a
/// sign-in anew. Whose word the ID token is, the SAM decides; what is compared here spares it tokens that it would refuse. Thread-safe.
class IdentityProvider {
 public:
  IdentityProvider(IdentityProviderConfig config, ClientProof proof, AskProvider ask, std::shared_ptr<const Clock> clock);

  /// Where the browser goes to sign in for `nonce`.
  [[nodiscard]] std::string address(std::string_view state, std::string_view nonce, std::string_view code_verifier) const;
  /// Whether an answer to the browser that names this issuer, or none, is of this provider.
  [[nodiscard]] Status check_issuer(const std::optional<std::string>& issuer) const;
  /// The ID token for a code. Refused: `not_authorised` (the provider does not take the code, or answers for something else), `busy`.
  [[nodiscard]] Result<Secret> redeem(const std::string& code, const std::string& code_verifier, std::string_view nonce) const;

 private:
  [[nodiscard]] Status prove(outbound::HttpHeaders& values, outbound::HttpHeaders& headers) const;
  [[nodiscard]] Status check_claims(std::string_view id_token, std::string_view nonce) const;

  IdentityProviderConfig config_;
  ClientProof proof_;
  AskProvider ask_;
  std::shared_ptr<const Clock> clock_;
};

/// The ID token in an answer of a token endpoint (Core 1.0, 3.1.3.3); nothing else of it is kept.
[[nodiscard]] Result<Secret> parse_token_answer(std::string& body);

}  // namespace intaglio::ssa::signer
