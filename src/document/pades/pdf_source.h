#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio::document::pades {

/// The bytes of a document, read where they are needed. Thread-safe.
class PdfSource {
 public:
  virtual ~PdfSource() = default;
  /// Fixed when it was opened.
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  /// Fills `into` from `offset` on; fewer bytes only at the end. `not_found` when the file can no longer be read.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const = 0;
  /// For a library that reads by itself: a path of the same open file, or the bytes. Good while this lives.
  [[nodiscard]] virtual std::variant<std::string, ByteView> for_library() const = 0;
};

/// An open regular file; it stays the same file when its name is given to another.
[[nodiscard]] Result<std::shared_ptr<const PdfSource>> open_file(const std::filesystem::path& path);
/// Bytes in memory, which are copied.
[[nodiscard]] std::shared_ptr<const PdfSource> from_memory(Bytes bytes);

}  // namespace intaglio::document::pades
