#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "http/routes.h"
#include "oauth/authorization_details.h"
#include "oauth/authorization_endpoint.h"
#include "oauth/client.h"
#include "ssa/limits.h"
#include "ssa/sad_filter.h"
#include "ssa/sam_keys.h"
#include "ssa/signer/one_time.h"
#include "ssa/transactions.h"

namespace intaglio::ssa::signer {

/// Told of each key that a signer made: it waits for the registration authority. Durable when it returns.
using KeyGeneratedHook = std::function<Status(const protocol::KeyGenerated& key, const SignerId& signer)>;

/// Told of what a signer did himself, after the SAM did it: for the registration authority's register.
struct SignerNews {
  std::function<void(const SignerId& signer)> factors_enrolled;
  std::function<void(const SignerId& signer, const KeyId& key, protocol::KeyState state)> key_stopped;
  std::function<void(const SignerId& signer)> factors_changed{};
  std::function<void(const SignerId& signer)> factors_locked{};  ///< at each refusal of that kind
};

struct Rooms {
  std::shared_ptr<protocol::SamService> sam;
  std::shared_ptr<SamKeys> keys;
  std::shared_ptr<Transactions> transactions;
  std::shared_ptr<CredentialDirectory> credentials;
  std::shared_ptr<SadFilter> filter;
  std::shared_ptr<const oauth::Clients> clients;
  std::shared_ptr<const Clock> clock;
  KeyGeneratedHook key_generated;
  ShortTermIssuer issue_short_term;
  std::shared_ptr<OrphanReports> orphans;
  SignerNews news{};  ///< each may be empty
  std::shared_ptr<Limits> limits{};  ///< nullptr: no limits
};

/// The signer's side, /sic/v1 (api/sic/README.md): opens transactions for signature applications and relays what only the SAM
/// can read. Every answer of a refusal has the form of CSC's.
class Interaction {
 public:
  explicit Interaction(Rooms rooms) : rooms_(std::move(rooms)) {}

  [[nodiscard]] http::Response sam(const http::Request& request) const;
  [[nodiscard]] http::Response open_transaction(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open_one_time(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open_enrolment(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open_key(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open_factor_change(const http::Request& request, const http::Principal& caller) const;
  /// Seal grants: opened here, made by a SAP message; ended by whoever knows the id.
  [[nodiscard]] http::Response open_grant(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response end_grant(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open_suspension(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response open_destruction(const http::Request& request, const http::Principal& caller) const;
  /// Opens a transaction in the name of this client and keeps it. Refused: credential_unknown (not one that the client may use),
  /// credential_disabled, certificate_invalid, too_large (more documents than the profile allows), limit_exceeded, or what the SAM refused.
  struct OpenedSigning {
    protocol::Opened opened;
    Bytes nonce;
  };
  [[nodiscard]] Result<OpenedSigning> open_signing(const oauth::Client& client, const protocol::OpenSigning& open,
                                                   oauth::Origin origin) const;
  /// The same for what a client asked to have approved: a digest of a document (`sdr`) becomes that of the signed attributes which this
  /// service will put around it (signed_attributes.h), because the SAM signs what was approved and nothing that follows from it.
  [[nodiscard]] Result<OpenedSigning> open_requested(const oauth::Client& client, const oauth::CredentialRequest& asked,
                                                     oauth::Origin origin) const;
  /// What the SAM authorised by a SAP message.
  struct Authorised {
    std::string sad, signer;
    std::chrono::seconds expires_in;
    UnixTime expires;
  };
  /// Relays the SAP message of a signing transaction of this client; `nonce`: the only transaction that it may be for.
  [[nodiscard]] std::variant<Authorised, http::Response> authorise(const http::Request& request, std::string_view message,
                                                                   std::string_view client, ByteView nonce) const;
  [[nodiscard]] http::Response relay_message(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response receipt(const http::Request& request, std::string_view index) const;

 private:
  [[nodiscard]] http::Response opened(const http::Request& request, const http::Principal& caller,
                                      const Result<protocol::Opened>& opened) const;
  [[nodiscard]] std::variant<KeptTransaction, http::Response> open_one(const http::Request& request, std::string_view message,
                                                                       std::string_view client) const;
  [[nodiscard]] std::variant<Authorised, http::Response> relay_sign(const http::Request& request, std::string_view message,
                                                                    const KeptTransaction& kept) const;
  [[nodiscard]] http::Response relay_grant(const http::Request& request, std::string_view message, const KeptTransaction& kept) const;
  [[nodiscard]] http::Response relay_enrol(const http::Request& request, std::string_view message, const KeptTransaction& kept) const;
  [[nodiscard]] http::Response relay_key(const http::Request& request, std::string_view message, const KeptTransaction& kept) const;
  [[nodiscard]] http::Response relay_one_time(const http::Request& request, std::string_view message, const KeptTransaction& kept) const;
  [[nodiscard]] http::Response relay_factors(const http::Request& request, std::string_view message, const KeptTransaction& kept) const;
  [[nodiscard]] http::Response relay_key_change(const http::Request& request, std::string_view message, const KeptTransaction& kept) const;
  [[nodiscard]] http::Response open_key_change(const http::Request& request, const http::Principal& caller,
                                               protocol::KeyChange change) const;
  void note_answered(const http::Request& request, const KeptTransaction& kept) const;
  void note_locked(const Error& error, const KeptTransaction& kept) const;
  [[nodiscard]] const oauth::Client* client_of(const http::Principal& caller) const { return rooms_.clients->find(caller.id); }

  Rooms rooms_;
};

}  // namespace intaglio::ssa::signer
