#pragma once

#include <optional>

#include "evidence/device_key.h"
#include "sam/factors/device_record.h"
#include "sam/policy/policy.h"
#include "sam/records.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// The device that answered, with what it signed: anyone can repeat the verification.
struct DeviceProof {
  Device device;
  std::string message_id;
  Bytes signature;
};

/// The devices of all signers: whose key it is that answers.
class Devices {
 public:
  Devices(const Policy& policy, const std::shared_ptr<const sealed::Sealer>& sealer, const std::shared_ptr<const Clock>& clock);

  struct Evaluated {
    std::vector<Device> devices;  ///< of the signer, while the policy lets devices in
    std::optional<DeviceProof> answered;
  };
  /// Within the transaction that charges the attempt. `signer` null: there is none, or no factors yet. `shown` null: no device is shown. One
  /// that is shown costs one verification, whosever it is (TC-11).
  [[nodiscard]] Result<Evaluated> evaluate(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                           const evidence::device_key::Answer* shown, std::string_view message_id, ByteView binding) const;

  /// The key of the signer's device of this name; where he has none, one that nobody has, so that a foreign name costs what his own does.
  struct Named {
    crypto::PublicKey key;
    std::optional<Device> registered;
  };
  [[nodiscard]] Result<Named> key_named(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                        ByteView name) const;

  /// The device in what it brings; `invalid_request` with the reason when its key or proof is not taken, or when the policy lets none in.
  [[nodiscard]] Result<Device> verify_new(const evidence::device_key::Registration& registration, std::string_view message_id,
                                          ByteView binding) const;
  /// Within the transaction that changes the signer's factors. `alone`: all others end. Refused: `conflict` for one that he has already,
  /// `limit_exceeded` beyond what the policy lets in.
  Status put(storage::Transaction& transaction, const SignerRecord& signer, const std::optional<Device>& added, bool alone) const;
  /// Those of this incarnation; none while the policy lets none in.
  [[nodiscard]] Result<std::vector<Device>> of(storage::Transaction& transaction, const SignerRecord& signer) const;

 private:
  struct Loaded {
    std::vector<Device> devices;
    std::optional<std::uint64_t> version;  ///< of the row
  };
  /// Those who answer now: none without a signer. The table is asked all the same.
  [[nodiscard]] Result<std::vector<Device>> current(storage::Transaction& transaction, const SignerId& id,
                                                    const SignerRecord* signer) const;
  [[nodiscard]] Result<Named> find(const std::vector<Device>& devices, ByteView name) const;
  [[nodiscard]] Result<Loaded> load(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer) const;

  const Policy& policy_;
  std::shared_ptr<const Clock> clock_;
  sealed::Table table_;
  std::optional<crypto::PublicKey> stand_in_;  ///< nobody has its private key
};

/// How the audit log names a device: base64url of its name.
[[nodiscard]] std::string device_field(const Device& device);

}  // namespace intaglio::sam
