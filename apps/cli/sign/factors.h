#pragma once

#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "console.h"

namespace intaglio::cli {

/// Where PIN and one-time code come from: the terminal, or files of mode 0600 for scripts.
struct FactorOptions {
  std::optional<std::filesystem::path> pin_file;
  std::optional<std::filesystem::path> otp_seed_file;  ///< base32, as `enrol --seed-file` writes it
  std::optional<int> otp_step_offset;                  ///< -1, 0 or 1: exactly this step, whatever was used before
};

struct Factors {
  Secret pin, totp;
};
/// Asks or computes both. A code computed from a seed file is of a step that this file was not used for before (the file
/// FILE.last remembers): the present one or the next, and when both are used it waits and says so.
[[nodiscard]] Result<Factors> collect_factors(const FactorOptions& options, const Clock& clock, const Progress& progress);

}  // namespace intaglio::cli
