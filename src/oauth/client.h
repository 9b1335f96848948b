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

/// A signature application, as the operator registered it.
struct Client {
  ClientId id;
  std::string name;                      ///< shown to the signer; goes into T
  std::optional<crypto::PublicKey> key;  ///< private_key_jwt
  std::optional<SecretHash> secret;      ///< client_secret_basic, client_secret_post
  std::set<std::string> signers;         ///< whose credentials it may see and use; empty: any
  std::set<std::string> redirect_uris{};  ///< where a code may be sent, compared octet by octet; empty: no code for this client
  bool dpop_bound = false;                ///< dpop_bound_access_tokens (RFC 9449, 5.2): it gets no token that is not bound to a key

  [[nodiscard]] bool may_see(const SignerId& signer) const { return signers.empty() || signers.contains(signer.text()); }
};

/// The registered applications; fixed while the process runs.
class Clients {
 public:
  /// Refused (`configuration`): an id twice, no way to authenticate or two of them, a redirect address that is no safe one.
  [[nodiscard]] static Result<Clients> make(std::vector<Client> clients);
  /// nullptr when it is unknown.
  [[nodiscard]] const Client* find(std::string_view id) const;

 private:
  Clients() = default;
  std::map<std::string, Client, std::less<>> clients_;
};

}  // namespace intaglio::oauth
