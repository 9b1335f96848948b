#pragma once

#include <map>
#include <mutex>

#include "sam/factors/devices.h"
#include "sam/factors/identities.h"
#include "sam/factors/passkeys.h"
#include "sam/policy/policy.h"
#include "sam/records.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// The pepper keys in the HSM: a stolen database tests no PIN without them. Implemented in apps/sam.
class Pepper {
 public:
  virtual ~Pepper() = default;
  [[nodiscard]] virtual Result<Secret> mac(ByteView data) const = 0;  ///< HMAC-SHA-256, for verifiers
  /// HMAC-SHA-256 under another key, for the locks of wrapped custody: what tells a right PIN opens no key. `unsupported` where no
  /// profile has wrapped custody.
  [[nodiscard]] virtual Result<Secret> lock_mac(ByteView data) const = 0;
};

/// 6 to 12 digits, none of the well-known ones: repeats, runs, short periods, years and keypad walks (800-63B, 5.1.1.2). The
/// refusal is `invalid_request`: the rule is public and says nothing of anyone's PIN.
[[nodiscard]] Status check_new_pin(const Secret& pin);

/// What a SAP message shows. Empty secrets mean "not shown" and are evaluated all the same (TC-11).
struct ShownFactors {
  Secret pin;          ///< or a signerpass
  Factor secret_kind;  ///< as what it is shown: pin or signerpass
  Secret totp;
  std::optional<evidence::webauthn::AssertionResponse> passkey;
  std::optional<evidence::device_key::Answer> device;
  std::optional<std::string> id_token;  ///< compact JWS
  crypto::Sha256Digest binding;         ///< what a passkey or a device must have signed, and what an ID token must answer

  [[nodiscard]] FactorSet kinds() const noexcept;
};

/// The passkey that answered, with what it signed: anyone can repeat the verification.
struct PasskeyProof {
  Passkey passkey;
  evidence::webauthn::AssertionResponse response;
};

/// A PIN or signerpass after Argon2id: what verifier and locks are made of, in one evaluation. Kept for as long as one request takes.
struct StretchedPin {
  std::uint64_t version;  ///< of the verifier that belongs to it
  Secret value;
};
struct NewPin {
  PinVerifier verifier;
  StretchedPin stretched;
};

/// A successful evaluation: only Factors makes one, and the caller must give the attempt back in its own transaction.
class FactorsProven {
 public:
  [[nodiscard]] const SignerRecord& signer() const noexcept { return signer_; }
  [[nodiscard]] FactorSet shown() const noexcept { return shown_; }  ///< each of them was right
  [[nodiscard]] const std::optional<PasskeyProof>& passkey() const noexcept { return passkey_; }
  [[nodiscard]] const std::optional<DeviceProof>& device() const noexcept { return device_; }
  [[nodiscard]] const std::optional<IdentityProof>& identity() const noexcept { return identity_; }
  /// PIN or signerpass of this evaluation; none when none was shown.
  [[nodiscard]] const std::optional<StretchedPin>& pin() const noexcept { return pin_; }
  FactorsProven(FactorsProven&&) noexcept = default;

 private:
  friend class Factors;
  FactorsProven(SignerRecord signer, FactorSet shown, std::optional<PasskeyProof> passkey, std::optional<DeviceProof> device,
                std::optional<IdentityProof> identity, std::optional<StretchedPin> pin)
      : signer_(std::move(signer)),
        shown_(shown),
        passkey_(std::move(passkey)),
        device_(std::move(device)),
        identity_(std::move(identity)),
        pin_(std::move(pin)) {}
  SignerRecord signer_;
  FactorSet shown_;
  std::optional<PasskeyProof> passkey_;
  std::optional<DeviceProof> device_;
  std::optional<IdentityProof> identity_;
  std::optional<StretchedPin> pin_;
};

/// Whether a profile of the policy has a combination of these.
[[nodiscard]] bool reaches_a_profile(const Policy& policy, FactorSet factors) noexcept;

/// A signer's record as a transaction sees it.
struct CurrentSigner {
  std::uint64_t version;  ///< of its row
  SignerRecord record;
};

/// Which factors suffice: a combination of each of these profiles that the signer's own factors reach, and there is one. So whoever shows
/// less than the keys of another profile ask for cannot change what opens them.
using Demand = std::vector<const Profile*>;

/// Evaluates the factors of a message together, with attempts charged durably before the costly part and no oracle in the answer.
class Factors {
 public:
  Factors(const Policy& policy, storage::Database& database, audit::Log& log, const std::shared_ptr<const sealed::Sealer>& sealer,
          const Pepper& pepper, std::shared_ptr<const Clock> clock);

  /// Consumes the message id, a passkey's assertion and an ID token (`replayed`), charges the attempt, evaluates. authentication_failed for every
  /// wrong factor, for too few of them and for an unknown signer alike; credential_locked while locked.
  [[nodiscard]] Result<FactorsProven> verify(const SignerId& signer, std::string_view message_id, UnixTime message_ends,
                                             const ShownFactors& shown, const Demand& demand);

  /// Within the transaction that writes what a success opened, because a reset or another change may have come between: PIN, seed and
  /// incarnation are those of the evaluation, the passkey that answered is registered and may still be used, the device that
  /// answered is registered, the identity that answered is linked. `conflict` when not, `authentication_failed` when the signer is gone.
  [[nodiscard]] Result<CurrentSigner> find_current(storage::Transaction& transaction, const FactorsProven& proven) const;
  /// Within the transaction that a success leads to: clears the failures and counts `documents` against the velocity limits
  /// (limit_exceeded). `per_minute` or `per_day` 0: not limited.
  Status give_back(storage::Transaction& transaction, const FactorsProven& proven, std::uint32_t documents, const Profile& profile) const;

  /// The same limits for a person who has no record, within the transaction that his session leads to.
  Status count_session(storage::Transaction& transaction, const SignerId& person, std::uint32_t documents, const Profile& profile) const;

  /// Verifier for a new PIN or signerpass, as `kind` says, at the policy's cost; the same work as an evaluation.
  [[nodiscard]] Result<PinVerifier> make_verifier(const SignerId& signer, Factor kind, const Secret& pin, std::uint64_t version) const;
  /// The same with what locks are made of.
  [[nodiscard]] Result<NewPin> make_pin(const SignerId& signer, Factor kind, const Secret& pin, std::uint64_t version) const;
  /// The signer's half of what opens this key in wrapped custody (TC-6): HKDF(HMAC(PEPPER_L, "lock/1" | signer | key | version |
  /// stretched PIN)), 32 bytes. Stored nowhere.
  [[nodiscard]] Result<Secret> make_lock(const SignerId& signer, const KeyId& key, const StretchedPin& pin) const;

  /// Consumes an id for ever within its life; `replayed` when it was used.
  Status consume(storage::Transaction& transaction, std::string_view kind, std::string_view id, UnixTime ends) const;

  /// What a signer can show of what is kept of him; `linked`: he has an identity at a provider.
  [[nodiscard]] FactorSet held_by(const SignerRecord& signer, const std::vector<Passkey>& passkeys, const std::vector<Device>& devices,
                                  bool linked) const;
  /// The same, of what is kept at this moment.
  [[nodiscard]] Result<FactorSet> held_now(storage::Transaction& transaction, const SignerRecord& signer) const;

  [[nodiscard]] const sealed::Table& signers() const noexcept { return signers_; }
  [[nodiscard]] const sealed::Table& states() const noexcept { return states_; }
  [[nodiscard]] const Passkeys& passkeys() const noexcept { return passkeys_; }
  [[nodiscard]] const Devices& devices() const noexcept { return devices_; }
  [[nodiscard]] const Identities& identities() const noexcept { return identities_; }

 private:
  struct EvaluatedPin {
    StretchedPin stretched;
    Secret mac;
  };
  [[nodiscard]] Result<EvaluatedPin> evaluate_pin(const SignerId& signer, std::uint64_t version, const Secret& pin, ByteView salt,
                                                  crypto::Argon2Cost cost) const;
  Status count_within(FactorState& state, std::uint32_t documents, const Profile& profile) const;
  [[nodiscard]] bool over_node_cap(const SignerId& signer);
  void forget_node_failure(const SignerId& signer, bool all);
  void uncharge(const SignerId& signer, bool possession_shown);

  const Policy& policy_;
  storage::Database& database_;
  std::shared_ptr<const sealed::Sealer> sealer_;
  const Pepper& pepper_;
  std::shared_ptr<const Clock> clock_;
  sealed::Table signers_, states_;
  Passkeys passkeys_;
  Devices devices_;
  Identities identities_;
  std::mutex mutex_;
  struct NodeCount {
    std::int64_t day;
    std::uint32_t failures;
  };
  std::map<SignerId, NodeCount> node_failures_;  ///< this node's own cap (TC-8): a database rolled back does not refill it
};

}  // namespace intaglio::sam
