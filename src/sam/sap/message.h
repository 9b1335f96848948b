#pragma once

#include <optional>

#include "evidence/device_key.h"
#include "evidence/webauthn.h"
#include "sam/core.h"

namespace intaglio::sam {

/// Seals T into a ticket: AEAD under a key derived from the SAM's data key, bound to purpose, version, epoch and key id. Opening
/// a transaction thus costs no write.
[[nodiscard]] Result<std::string> seal_ticket(const Core& core, const protocol::Transaction& transaction);
/// T as this SAM sealed it for this purpose; ticket_invalid when it is not, ticket_expired when it is over.
[[nodiscard]] Result<protocol::Transaction> open_ticket(const Core& core, protocol::Purpose purpose, std::string_view ticket);

/// The answer to each open call: ticket, T in clear, the statement over the SAP key.
[[nodiscard]] Result<protocol::Opened> open_transaction(Core& core, const protocol::Transaction& transaction);

/// The JSON inside a SAP message, as the signer's device tells it; nothing of it is checked but its form.
struct SapPayload {
  std::string id, ticket, act;
  protocol::Terms terms;
  crypto::Sha256Digest told_consent, told_binding;
  Secret pin, totp, activation_code, new_pin;
  std::optional<evidence::webauthn::AssertionResponse> passkey;
  std::optional<evidence::webauthn::RegistrationResponse> new_passkey;
  std::optional<evidence::device_key::Answer> device;
  std::optional<evidence::device_key::Registration> new_device;
  std::optional<std::string> id_token, new_id_token;  ///< compact JWS, at most 16 KiB
  Factor secret_kind, new_secret_kind;                ///< what `pin` and `new_pin` are: PIN or signerpass
  bool new_seed;       ///< a TOTP seed is made
  bool drop_passkeys;  ///< factors: the passkeys of before end
  bool drop_devices;   ///< factors: the devices of before end
  std::optional<crypto::PublicKey> answer_key;
};
/// invalid_request with the member's name when the form is not that of api/sap/README.md.
[[nodiscard]] Result<SapPayload> parse_payload(ByteView plaintext);

/// A SAP message that is authentic to its ticket: the transaction is the SAM's own, consent and binding were recomputed.
struct SapMessage {
  protocol::Transaction transaction;
  crypto::Sha256Digest consent, binding;
  protocol::Terms terms;
  std::string act, id;
  Secret pin, totp, activation_code, new_pin;
  std::optional<evidence::webauthn::AssertionResponse> passkey;
  std::optional<evidence::webauthn::RegistrationResponse> new_passkey;
  std::optional<evidence::device_key::Answer> device;
  std::optional<evidence::device_key::Registration> new_device;
  std::optional<std::string> id_token, new_id_token;
  Factor secret_kind, new_secret_kind;
  bool new_seed, drop_passkeys, drop_devices;
  std::optional<crypto::PublicKey> answer_key;
};
/// Opens the JWE of this purpose and checks everything about it but the factors and its single use.
[[nodiscard]] Result<SapMessage> open_message(Core& core, protocol::Purpose purpose, std::string_view compact);

/// The JWE `typ` of a purpose: intaglio-sap-sign+jwe.
[[nodiscard]] std::string message_typ(protocol::Purpose purpose);

}  // namespace intaglio::sam
