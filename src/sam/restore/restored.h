#pragma once

#include <optional>

#include "audit/log.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// What a restore left in sealed state. Tickets, SADs and grants of before it are of another epoch; what was signed before it and is used
/// once only, on its own word, is not taken after it, because which of them were used is not known any more (TC-8, TC-9).
struct Restored {
  std::uint64_t epochs = 0;  ///< on top of the policy's epoch
  UnixTime at{};             ///< the epoch of the clock: there was none
  Bytes statement{};         ///< SHA-256 of what two persons signed
  std::uint64_t anchored = 0;  ///< what the anchor vouched for then
  Bytes anchored_running{};

  /// Whether a request of this time may have been used before the restore, by a clock that is ahead of ours by no more than `tolerance`.
  [[nodiscard]] bool may_be_of_before(UnixTime issued, std::chrono::seconds tolerance) const noexcept;
};

/// The latest; with no epochs where there was none.
[[nodiscard]] Result<Restored> load_restored(const sealed::Table& state, storage::Transaction& transaction);
[[nodiscard]] Bytes encode(const Restored& restored);
[[nodiscard]] Result<Restored> parse_restored(ByteView encoded);
inline constexpr std::string_view restored_record = "restored";

}  // namespace intaglio::sam
