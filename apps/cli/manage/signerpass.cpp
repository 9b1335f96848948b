#include "base/file.h"
#include "console.h"
#include "crypto/random.h"
#include "manage/commands.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t pairs = 10, group = 4;

/// One of the first `count` characters from `first` on, each as likely as any other.
Result<std::uint8_t> drawn(char first, unsigned count) {
  const unsigned bound = 256 - 256 % count;
  for (;;) {
    auto byte = crypto::random_secret(1);
    if (!byte) return byte.error();
    const unsigned value = byte->reveal().front();
    if (value < bound) return static_cast<std::uint8_t>(static_cast<unsigned>(first) + value % count);
  }
}

/// k7d3-q9x2-m4b8-r6t1-w5z0
Result<Secret> drawn_signerpass() {
  Secret text = Secret::of_size(2 * pairs + 2 * pairs / group - 1);
  std::size_t used = 0;
  for (std::size_t at = 0; at < 2 * pairs; ++at) {
    if (at > 0 && at % group == 0) text.writable()[used++] = '-';
    auto character = at % 2 == 0 ? drawn('a', 26) : drawn('0', 10);
    if (!character) return character.error();
    text.writable()[used++] = *character;
  }
  return text;
}

}  // namespace

Status make_signerpass(const MakeSignerpassOptions& options) {
  if (!options.output && !output_is_terminal())
    return problem(ErrorCode::invalid_request, "a signerpass is shown on a terminal only", "give -o FILE");
  if (options.output && std::filesystem::exists(*options.output))
    return problem(ErrorCode::conflict, options.output->string() + " exists already", "give another -o, or move that one away");
  auto made = drawn_signerpass();
  if (!made) return made.error();
  if (!options.output) {
    say(as_text(made->reveal()));
    return {};
  }
  auto written = write_file_durably(*options.output, made->reveal(), 0600);
  if (!written) return because(written.error(), "-o " + options.output->string(), "the folder must be writable");
  return {};
}

}  // namespace intaglio::cli
