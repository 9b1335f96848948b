#pragma once

#include "evidence/device_key.h"
#include "protocol/binding.h"

namespace intaglio::evidence {

/// What a device signed when its person approved documents, with all that is needed to repeat the verification (api/sap/README.md, 12).
struct DeviceApproval {
  Bytes transaction;  ///< T as it was shown
  protocol::Terms terms;
  std::string act;
  std::string message_id;  ///< of the SAP message that it came in
  Bytes spki;              ///< of the device's key
  Bytes signature;         ///< r | s
};
[[nodiscard]] Bytes encode(const DeviceApproval& approval);
/// At most 64 KiB; `invalid_request` when it is not what encode wrote.
[[nodiscard]] Result<DeviceApproval> parse_device_approval(ByteView encoded);
/// Whether the encoding says that it is one, whatever follows.
[[nodiscard]] bool is_device_approval(ByteView encoded);

/// T, once the device's signature over exactly this T, these terms and this act verified. Refused (`authentication_failed`) otherwise. Whose
/// device it is stands in the audit log: device_key::name_of() of it at its registration, SHA-256 of the encoding at the authorisation.
[[nodiscard]] Result<protocol::Transaction> verify_approval(const DeviceApproval& approval);

}  // namespace intaglio::evidence
