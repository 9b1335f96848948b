#include "sam/factors/devices.h"

#include <algorithm>

#include "base/check.h"
#include "base/panic.h"
#include "crypto/signer.h"

namespace intaglio::sam {
namespace {

namespace device_key = evidence::device_key;

bool is_named(const Device& device, ByteView name) { return std::ranges::equal(device_key::name_of(device.spki), name); }

}  // namespace

Devices::Devices(const Policy& policy, const std::shared_ptr<const sealed::Sealer>& sealer, const std::shared_ptr<const Clock>& clock)
    : policy_(policy), clock_(clock), table_(sealer, "devices", sealed::Rollback::refused) {
  const auto key = crypto::SoftwareKey::generate();
  if (!key) panic("devices: no key can be made");
  stand_in_ = (*key)->public_key();
}

Result<Devices::Loaded> Devices::load(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer) const {
  Loaded loaded;
  auto row = table_.find(transaction, id.text());
  if (!row) return row.error();
  if (!*row) return loaded;
  loaded.version = (*row)->version;
  auto record = parse_devices((*row)->content.reveal());
  if (!record) return record.error();
  if (signer == nullptr) return loaded;
  // After a reset the row is of an earlier record of this name: its devices open nothing any more (TC-7).
  if (refused_by("sam.device.incarnation", record->incarnation != signer->incarnation)) return loaded;
  loaded.devices = std::move(record->devices);
  return loaded;
}

Result<std::vector<Device>> Devices::current(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer) const {
  auto loaded = load(transaction, id, signer);
  if (!loaded) return loaded.error();
  // A device stands in its row while the policy lets none in, and may be used again when it does.
  if (refused_by("sam.device.served", policy_.devices_per_signer == 0)) return std::vector<Device>();
  return std::move(loaded->devices);
}

Result<std::vector<Device>> Devices::of(storage::Transaction& transaction, const SignerRecord& signer) const {
  return current(transaction, signer.id, &signer);
}

Result<Devices::Named> Devices::find(const std::vector<Device>& devices, ByteView name) const {
  const auto own = std::find_if(devices.begin(), devices.end(), [&](const Device& device) { return is_named(device, name); });
  if (own == devices.end()) return Named{.key = *stand_in_, .registered = std::nullopt};
  auto key = crypto::PublicKey::parse_spki(own->spki);
  if (!key) return Error{ErrorCode::storage_unavailable, "a record is malformed: the key of a device"};
  return Named{.key = std::move(*key), .registered = *own};
}

Result<Devices::Named> Devices::key_named(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                          ByteView name) const {
  const auto devices = current(transaction, id, signer);
  if (!devices) return devices.error();
  return find(*devices, name);
}

Result<Devices::Evaluated> Devices::evaluate(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                             const device_key::Answer* shown, std::string_view message_id, ByteView binding) const {
  auto devices = current(transaction, id, signer);
  if (!devices) return devices.error();
  Evaluated evaluated{.devices = *std::move(devices), .answered = std::nullopt};
  if (shown == nullptr) return evaluated;
  const auto named = find(evaluated.devices, shown->device);
  if (!named) return named.error();
  const auto verified = device_key::verify(named->key, device_key::approval_input(shown->device, message_id, binding), shown->signature);
  if (!verified || !named->registered) return evaluated;
  evaluated.answered = DeviceProof{.device = *named->registered, .message_id = std::string(message_id), .signature = shown->signature};
  return evaluated;
}

Result<Device> Devices::verify_new(const device_key::Registration& registration, std::string_view message_id, ByteView binding) const {
  if (refused_by("sam.device.new-served", policy_.devices_per_signer == 0))
    return Error{ErrorCode::invalid_request, "devices are not served"};
  const auto key = device_key::verify_possession(registration, message_id, binding);
  if (!key) return key.error();
  return Device{.spki = key->spki(), .registered = unix_seconds(clock_->now())};
}

Status Devices::put(storage::Transaction& transaction, const SignerRecord& signer, const std::optional<Device>& added, bool alone) const {
  auto loaded = load(transaction, signer.id, &signer);
  if (!loaded) return loaded.error();
  DeviceRecord record{.incarnation = signer.incarnation, .devices = std::move(loaded->devices)};
  if (added) {
    const bool known =
        std::any_of(record.devices.begin(), record.devices.end(), [&](const Device& device) { return device.spki == added->spki; });
    // One that was lost does not come back under its own name with the change that ends it.
    if (refused_by("sam.device.known", known)) return Error{ErrorCode::conflict, "this device is registered already"};
  }
  if (alone) record.devices.clear();
  if (added) record.devices.push_back(*added);
  // Fewer may be let in than there are: those stay, and none comes to them.
  if (refused_by("sam.device.bound", added && record.devices.size() > policy_.devices_per_signer))
    return Error{ErrorCode::limit_exceeded, "the signer has as many devices as the policy lets in"};
  const auto content = encode(record);
  if (!loaded->version) return table_.insert(transaction, signer.id.text(), content);
  return table_.update(transaction, signer.id.text(), *loaded->version, content);
}

std::string device_field(const Device& device) { return encode_base64url(device_key::name_of(device.spki)); }

}  // namespace intaglio::sam
