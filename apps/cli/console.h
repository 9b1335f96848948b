#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace intaglio::cli {

/// Lines on standard error, each with the seconds since the command began.
class Progress {
 public:
  Progress() : begin_(std::chrono::steady_clock::now()) {}
  void step(std::string_view text) const;

 private:
  std::chrono::steady_clock::time_point begin_;
};

/// A result, on standard output.
void say(std::string_view line);
/// Text of others, made harmless for a terminal: control characters become '?'.
[[nodiscard]] std::string printable(std::string_view text);
[[nodiscard]] bool output_is_terminal();

/// Asks on the controlling terminal without echo; at most 256 characters. Refused when there is none.
[[nodiscard]] Result<Secret> ask_secret(std::string_view prompt);
/// Asks on the controlling terminal; one line.
[[nodiscard]] Result<std::string> ask_line(std::string_view prompt);
/// The secret of the file (mode 0600), or the answer to the prompt when there is no file. `option` is named in refusals.
[[nodiscard]] Result<Secret> secret_from(const std::optional<std::filesystem::path>& file, std::string_view prompt,
                                         std::string_view option);

}  // namespace intaglio::cli
