#pragma once

#include "audit/log.h"
#include "sam/factors/passkey_record.h"
#include "sam/policy/policy.h"
#include "sam/records.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// The passkeys of all signers: which one answered, and what its counter says.
class Passkeys {
 public:
  Passkeys(const Policy& policy, audit::Log& log, const std::shared_ptr<const sealed::Sealer>& sealer,
           const std::shared_ptr<const Clock>& clock);

  /// What the table has of a signer, and who answered of it.
  struct Evaluated {
    PasskeyRecord record;
    std::optional<std::uint64_t> version;  ///< of the row
    std::optional<std::size_t> answered;   ///< place in `record` of the one whose signature verified
    std::optional<evidence::webauthn::Assertion> assertion;
  };
  /// Within the transaction that charges the attempt. `signer` null: there is none, or no factors yet. `shown` null: no passkey is shown.
  /// One that is shown costs one verification, whosever it is (TC-11).
  [[nodiscard]] Result<Evaluated> evaluate(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                           const evidence::webauthn::AssertionResponse* shown, ByteView challenge) const;
  /// Within the same transaction: the counter of the passkey that answered goes on, and true; or it went back, then the passkey is
  /// suspended with an audit event, and false. The caller must not roll that back.
  [[nodiscard]] Result<bool> advance(storage::Transaction& transaction, const SignerId& id, const Evaluated& evaluated) const;

  /// The passkey in what a browser answered to navigator.credentials.create(); `invalid_request` with the reason when policy and
  /// WebAuthn do not take it, or when the policy serves none.
  [[nodiscard]] Result<Passkey> verify_new(const evidence::webauthn::RegistrationResponse& response, ByteView challenge) const;
  /// Within the transaction that changes the signer's factors. `alone`: all others end. Refused: `conflict` for one that he has already,
  /// `limit_exceeded` beyond max_passkeys.
  Status put(storage::Transaction& transaction, const SignerRecord& signer, const std::optional<Passkey>& added, bool alone) const;
  /// Those of this incarnation, suspended ones too.
  [[nodiscard]] Result<std::vector<Passkey>> of(storage::Transaction& transaction, const SignerRecord& signer) const;
  /// It is not suspended, and the policy in force would take it anew: what a stricter policy lets in no more opens nothing.
  [[nodiscard]] bool may_use(const Passkey& passkey) const;

 private:
  [[nodiscard]] Result<Evaluated> load(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer) const;
  Status store(storage::Transaction& transaction, const SignerId& id, const Evaluated& loaded, const PasskeyRecord& record) const;

  const Policy& policy_;
  audit::Log& log_;
  std::shared_ptr<const Clock> clock_;
  sealed::Table table_;
  std::optional<crypto::PublicKey> stand_in_;  ///< nobody has its private key
};

}  // namespace intaglio::sam
