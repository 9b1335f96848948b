#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/result.h"

namespace intaglio::up {

/// The loopback ports of one instance.
struct Ports {
  std::uint16_t sam = 0, ssa_public = 0, ssa_registration = 0, pki_internal = 0, pki_public = 0, sam_management = 0, ssa_pages = 0;
  std::uint16_t application = 0;  ///< to which the client `demo` lets codes come back
};

/// The folder of one instance: tokens, secrets, TLS identities, configuration, databases, logs. Everything below it was made
/// by `prepare` (preparation.h) and may be removed with it.
class RunFolder {
 public:
  explicit RunFolder(const std::filesystem::path& root);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }
  [[nodiscard]] std::filesystem::path at(std::string_view below) const { return root_ / below; }

  /// The ports of an instance that was prepared completely; nothing when there is none. Refused (`configuration`) when another
  /// version of the layout made it, or when the folder holds anything that is not ours.
  [[nodiscard]] Result<std::optional<Ports>> prepared() const;
  /// Makes the folder when it is not there and holds it for this process; refused (`conflict`) when another one has it.
  Status lock();
  /// An empty layout, mode 0700; the half of an earlier attempt is removed first.
  Status start_over() const;
  /// The last act of preparation: from here on the folder counts as prepared.
  Status mark_prepared(const Ports& ports) const;

 private:
  std::filesystem::path root_;
  int lock_ = -1;
};

/// The usual ports when all of them are free, else as many that are. With `first` the eight from there on: `configuration` when one is taken.
[[nodiscard]] Result<Ports> choose_ports(std::optional<std::uint16_t> first);

}  // namespace intaglio::up
