#include "base/panic.h"
#include "sam/factors/signerpass.h"

/// What a stranger's message may choose as a signerpass: the estimate never says more than chance could have put there, and never more for a text that
/// is said twice than for twice the text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  if (size > 128) return 0;
  const ByteView input(data, size);
  const Secret text(input);
  const auto bits = sam::estimated_bits(text, "ada");
  // log2 of 26 letters, rounded down; every other character counts less.
  if (bits * 10 > 47 * size) panic("more bits than the text can have");
  if (sam::check_new_signerpass(text, "ada", 60)) {
    if (size < 12 || bits < 60) panic("a weak signerpass was taken");
    for (const auto c : input) {
      if (c < 0x20 || c > 0x7e) panic("a signerpass that keyboards write in different ways");
    }
  }
  Bytes twice = to_bytes(input);
  append(twice, input);
  if (sam::estimated_bits(Secret(twice), "ada") > 2 * bits + 10) panic("a repetition gains bits");
  return 0;
}
