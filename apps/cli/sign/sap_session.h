#pragma once

#include <memory>
#include <string>
#include <vector>

#include "service.h"

namespace intaglio::cli {

/// A transaction that the service opened: its ticket, T, and the key to which factors are sealed.
struct OpenedTransaction {
  std::string ticket;
  Bytes encoded;
  protocol::Transaction transaction;
  std::string sap_kid;
  crypto::PublicKey sap_key;
};
/// What an open call answered: refused unless this identity signed the SAP statement, and it is valid now. What T holds is checked by
/// check_transaction.
[[nodiscard]] Result<OpenedTransaction> read_opened(const json::Value& answer, const crypto::PublicKey& identity, UnixTime now);
/// Posts the request and reads the answer; refused unless the SAP statement is that of the pinned SAM identity and valid now.
/// What T holds is checked by check_transaction.
[[nodiscard]] Result<OpenedTransaction> open_transaction(const Service& service, const ClientSettings& settings, std::string_view path,
                                                         const json::Value& request, UnixTime now);

/// Shows the terms and asks for the explicit act; not_authorised when the person declines. `script`: it was done before.
Status ask_to_agree(const SignerSide& side, bool script);
/// What was done, in the words that the SAM's policy knows.
[[nodiscard]] std::string_view act_of(bool script);

/// One factor of a SAP message: "pin", "signerpass", "totp", "id-token", "activation-code", "new-pin", "new-signerpass", "new-id-token" with a
/// value in printable ASCII; "device", "new-device" with the key that signs the message's id and binding.
struct Factor {
  std::string_view type;
  const Secret* value = nullptr;
  const crypto::SoftwareKey* key = nullptr;
};
/// What a change of factors asks for beside new ones.
struct Wishes {
  bool new_seed = false;  ///< a new TOTP seed
  bool drop_devices = false;  ///< the devices of before end
};

/// What the signer approves with these words of consent (api/sap, 3): an identity provider answers it.
[[nodiscard]] crypto::Sha256Digest binding_of(const OpenedTransaction& opened, const protocol::Terms& terms, std::string_view act);

/// A SAP message on its way: what was sealed, and the key with which the answer is opened.
struct SapMessage {
  std::string compact;
  std::shared_ptr<crypto::SoftwareKey> answer_key;
};
/// Computes consent and binding from what was shown, and seals them with the factors to the SAM (api/sap, 3 and 6).
[[nodiscard]] Result<SapMessage> make_sap_message(const OpenedTransaction& opened, const protocol::Terms& terms, std::string_view act,
                                                  const std::vector<Factor>& factors, const Wishes& wishes = {});

}  // namespace intaglio::cli
