#pragma once

#include <cstddef>
#include <filesystem>

#include "base/bytes.h"
#include "base/secret.h"

namespace intaglio {

/// The whole file, refused (`too_large`) beyond `max_size`, (`not_found`) when it is not there.
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max_size);
/// A secret kept in a file: refused (`configuration`) when group or others may read it. One trailing newline is not part of it.
[[nodiscard]] Result<Secret> read_secret_file(const std::filesystem::path& path, std::size_t max_size);
/// Durable and all or nothing: temporary file, fsync, rename, fsync of the folder. `mode` as for open(2).
Status write_file_durably(const std::filesystem::path& path, ByteView content, unsigned mode);

}  // namespace intaglio
