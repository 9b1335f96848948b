#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "http/limiter.h"
#include "oauth/client.h"
#include "oauth/form.h"
#include "oauth/refusal.h"
#include "storage/database.h"

namespace intaglio::oauth {

struct ClientAuthenticationConfig {
  std::vector<std::string> audiences;  ///< what a client assertion may name: the issuer, and the endpoints by their addresses
  std::chrono::seconds max_assertion_life{300};
  std::vector<crypto::Certificate> authorities{};  ///< who issues the certificates of clients that are known by a name (RFC 8705, 2.1)
  std::shared_ptr<http::Limiter> requests{};  ///< of a client that has proved who it is; nullptr: no limit
};

/// What a request shows of its client, before anything of it is believed. May hold a client secret: wiped when it ends.
class ShownClient {
 public:
  /// From the header and the body. Refused: a header that is not Basic, no client_id at all.
  [[nodiscard]] static std::variant<ShownClient, Refusal> read(const http::Request& request, const Form& form);
  ~ShownClient();
  ShownClient(ShownClient&&) noexcept = default;
  ShownClient& operator=(ShownClient&&) = delete;
  ShownClient(const ShownClient&) = delete;
  ShownClient& operator=(const ShownClient&) = delete;

  [[nodiscard]] const std::string& id() const noexcept { return id_; }

 private:
  friend class ClientAuthentication;
  struct Basic {
    std::string id, secret;
  };
  ShownClient() = default;
  [[nodiscard]] static std::optional<Basic> parse_basic(std::string_view header);
  std::string id_;
  std::optional<Basic> basic_;
  std::optional<std::string> secret_, assertion_, assertion_type_;
};

/// Who calls the token, revocation and pushed-authorization endpoints: private_key_jwt (RFC 7523, ES256, each assertion once, durably)
/// a client secret in the header or the body, or the certificate of the TLS connection (RFC 8705, 2), one way a request (RFC 6749,
/// 2.3). Thread-safe.
class ClientAuthentication {
 public:
  ClientAuthentication(ClientAuthenticationConfig config, std::shared_ptr<const Clients> clients,
                       std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);
  /// The client that the request names and proves to be, or why not; 429 when it has asked too often. Who only names a client takes
  /// nothing of what that client may ask.
  [[nodiscard]] std::variant<const Client*, Refusal> verify(const http::Request& request, const ShownClient& shown) const;

  /// auth/login (CSC API, 11.2): the same for a client that is registered for it, by its id and secret.
  [[nodiscard]] std::variant<const Client*, Refusal> verify_login(std::string_view id, std::string_view secret) const;
  [[nodiscard]] const std::shared_ptr<const Clients>& clients() const noexcept { return clients_; }

 private:
  [[nodiscard]] std::variant<const Client*, Refusal> within_limit(const Client& client) const;
  [[nodiscard]] std::variant<const Client*, Refusal> authenticate(const http::Request& request, const ShownClient& shown) const;
  [[nodiscard]] Status check_certificate(const Client& client, const http::Request& request) const;
  [[nodiscard]] Status check_assertion(const Client& client, std::string_view assertion) const;
  [[nodiscard]] Status consume_assertion(const Client& client, std::string_view jti, UnixTime until) const;

  ClientAuthenticationConfig config_;
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::oauth
