// An approval that somebody brings to be verified. What is read must be written back to the same bytes.
#include <algorithm>

#include "base/panic.h"
#include "evidence/approval.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const ByteView input(data, size);
  if (const auto approval = evidence::parse_approval(input)) {
    if (!std::ranges::equal(evidence::encode(*approval), input)) panic("an approval was read that is not written this way");
    static_cast<void>(evidence::verify_approval(*approval));
  }
  return 0;
}
