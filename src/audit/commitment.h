#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace intaglio::audit {

/// At least this many random bytes of salt for each commitment, kept beside the log where they can be erased.
inline constexpr std::size_t min_salt_size = 16;

/// What an event holds in place of personal data: base64url of SHA-256 over ("intaglio/commitment/1", salt, value), each with
/// its length. Who has value and salt can show what was meant; when the salt is erased nobody can, and the tree stays whole.
[[nodiscard]] std::string commitment(std::string_view value, ByteView salt);

}  // namespace intaglio::audit
