#pragma once

#include "evidence/device_key.h"
#include "json/json.h"

namespace intaglio::sam {

/// The members of the factors `device` and `new-device` (api/sap/README.md, 6); `invalid_request` with the name of the one that is not as it
/// must be.
[[nodiscard]] Result<evidence::device_key::Answer> parse_device_answer(const json::Value& factor);
[[nodiscard]] Result<evidence::device_key::Registration> parse_device_registration(const json::Value& factor);

}  // namespace intaglio::sam
