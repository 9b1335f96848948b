#pragma once

#include <vector>

#include "base/bytes.h"

namespace intaglio::sam {

inline constexpr std::size_t max_devices = 8;  ///< of a signer, whatever the policy lets in

/// A registered device of a signer.
struct Device {
  Bytes spki;               ///< of its key, P-256, DER
  std::int64_t registered;  ///< unix seconds
};

/// The devices of a signer. They belong to the incarnation of his record and not to the name: a reset ends them (TC-7).
struct DeviceRecord {
  Bytes incarnation;
  std::vector<Device> devices;
};
[[nodiscard]] Bytes encode(const DeviceRecord& record);
[[nodiscard]] Result<DeviceRecord> parse_devices(ByteView encoded);

}  // namespace intaglio::sam
