#include "sam/factors/device_record.h"

#include "base/fields.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view version = "devices/1";
constexpr std::size_t incarnation_bytes = 16, max_spki = 128;

}  // namespace

Bytes encode(const DeviceRecord& record) {
  Bytes out;
  append_field(out, version);
  append_field(out, record.incarnation);
  append_field(out, std::uint64_t{record.devices.size()});
  for (const auto& device : record.devices) {
    append_field(out, device.spki);
    append_field(out, static_cast<std::uint64_t>(device.registered));
  }
  return out;
}

Result<DeviceRecord> parse_devices(ByteView encoded) {
  Fields in(encoded);
  in.expect(version);
  DeviceRecord record{.incarnation = in.bytes(incarnation_bytes), .devices = {}};
  const auto count = in.number(max_devices);
  record.devices.reserve(count);
  for (std::uint64_t at = 0; at < count && in.good(); ++at) {
    auto spki = in.bytes(max_spki);
    record.devices.push_back({.spki = std::move(spki), .registered = in.seconds()});
  }
  if (!in.finished()) return Error{ErrorCode::storage_unavailable, "a record is malformed: devices"};
  return record;
}

}  // namespace intaglio::sam
