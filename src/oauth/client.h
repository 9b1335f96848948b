#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/secret.h"
#include "crypto/public_key.h"
#include "crypto/tls_client.h"

namespace intaglio::oauth {

/// What is kept of a client secret: `hmac-sha256$<salt>$<mac>`, both base64url; the salt is the key. One cheap evaluation is
/// enough because secrets are made by make_client_secret alone, with 256 random bits: nobody searches them.
class SecretHash {
 public:
  [[nodiscard]] static Result<SecretHash> parse(std::string_view text);
  [[nodiscard]] static Result<SecretHash> of(ByteView secret);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool matches(ByteView secret) const;

 private:
  SecretHash(Bytes salt, Bytes mac) : salt_(std::move(salt)), mac_(std::move(mac)) {}
  Bytes salt_;
  Bytes mac_;
};

struct NewClientSecret {
  Secret secret;  ///< 43 characters, base64url: goes to the client once
  SecretHash hash;
};
[[nodiscard]] Result<NewClientSecret> make_client_secret();

/// What a client's certificate has to be named (RFC 8705, 2.1.2): its subject, or one of its alternative names.
class CertificateName {
 public:
  /// RFC 4514, compared octet by octet with what `crypto::Certificate::subject` gives. Refused (`configuration`): empty.
  [[nodiscard]] static Result<CertificateName> subject(std::string_view text);
  /// A host name is compared without regard to case, everything else by its octets. Refused (`configuration`): empty, or no address.
  [[nodiscard]] static Result<CertificateName> alternative(crypto::AlternativeName kind, std::string_view text);

  [[nodiscard]] const std::optional<crypto::AlternativeName>& alternative() const noexcept { return kind_; }  ///< none: the subject
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  /// Whether an alternative name of this kind is this one.
  [[nodiscard]] bool is(std::string_view other) const;

 private:
  CertificateName(std::optional<crypto::AlternativeName> kind, std::string value) : kind_(kind), value_(std::move(value)) {}
  std::optional<crypto::AlternativeName> kind_;
  std::string value_;
};

/// What a client may do that the standards of today forbid, because its own is older; nothing by default (docs/operate/authorization.md).
enum class Compatibility : std::uint8_t {
  no_pkce,      ///< asks for codes without code_challenge, as CSC API v1 has it
  auth_login,   ///< gets a token of the service by auth/login (CSC API v1 and v2, 11.2), with its id and secret in the header
  token_query,  ///< sends the parameters of a token request in the query (CSC API v1, 8.3.3), never a secret there
};
[[nodiscard]] std::string_view name_of(Compatibility compatibility) noexcept;
[[nodiscard]] std::optional<Compatibility> parse_compatibility(std::string_view name) noexcept;

/// A signature application, as the operator registered it.
struct Client {
  ClientId id;
  std::string name;                      ///< shown to the signer; goes into T
  std::optional<crypto::PublicKey> key;  ///< private_key_jwt
  std::optional<SecretHash> secret;      ///< client_secret_basic, client_secret_post
  std::set<std::string> signers;         ///< whose credentials it may see and use; empty: any
  std::set<std::string> redirect_uris{};  ///< where a code may be sent, compared octet by octet; empty: no code for this client
  bool dpop_bound = false;                ///< dpop_bound_access_tokens (RFC 9449, 5.2): it gets no token that is not bound to a key
  std::optional<CertificateName> certificate_name{};  ///< tls_client_auth (RFC 8705, 2.1)
  std::set<crypto::Sha256Digest> certificates{};  ///< self_signed_tls_client_auth (2.2): SHA-256 of each certificate that it may show
  bool certificate_bound =
      false;  ///< tls_client_certificate_bound_access_tokens (3.4): it gets no token that is not bound to a certificate
  std::set<Compatibility> compatibility{};

  [[nodiscard]] bool allows(Compatibility one) const { return compatibility.contains(one); }
  /// It shows who it is by a certificate alone.
  [[nodiscard]] bool shows_certificate() const { return certificate_name.has_value() || !certificates.empty(); }
  [[nodiscard]] bool may_see(const SignerId& signer) const { return signers.empty() || signers.contains(signer.text()); }
};

/// The registered applications; fixed while the process runs.
class Clients {
 public:
  /// Refused (`configuration`): an id twice, no way to authenticate or two of them, tokens bound in two ways, auth_login without a secret or beside bound tokens, a redirect address that is no safe one.
  [[nodiscard]] static Result<Clients> make(std::vector<Client> clients);
  /// Whether one of them is registered for it.
  [[nodiscard]] bool any(Compatibility one) const;
  /// nullptr when it is unknown.
  [[nodiscard]] const Client* find(std::string_view id) const;

 private:
  Clients() = default;
  std::map<std::string, Client, std::less<>> clients_;
};

}  // namespace intaglio::oauth
