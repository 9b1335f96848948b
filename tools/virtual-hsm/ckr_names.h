#pragma once

#include <p11-kit/pkcs11.h>

#include <optional>
#include <string>
#include <string_view>

namespace intaglio::virtual_hsm {

/// The result of this name (CKR_DEVICE_ERROR), or written as 0x and 1 to 8 hexadecimal digits: any code, also a vendor's.
[[nodiscard]] std::optional<CK_RV> result_named(std::string_view name);
/// Its name, or 0x and hexadecimal digits for a code that the standard does not name.
[[nodiscard]] std::string name_of(CK_RV result);

}  // namespace intaglio::virtual_hsm
