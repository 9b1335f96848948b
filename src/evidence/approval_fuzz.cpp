// An approval that somebody brings to be verified, by a passkey, a device or an identity. What is read must be written back to the same bytes.
#include <algorithm>

#include "base/panic.h"
#include "evidence/approval.h"
#include "evidence/device_approval.h"
#include "evidence/identity_approval.h"

namespace {

using namespace intaglio;

template <typename T>
void verify_again(ByteView input, const Result<T>& approval) {
  if (!approval) return;
  if (!std::ranges::equal(evidence::encode(*approval), input)) panic("an approval was read that is not written this way");
  static_cast<void>(evidence::verify_approval(*approval));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  if (evidence::is_identity_approval(input)) {
    verify_again(input, evidence::parse_identity_approval(input));
  } else if (evidence::is_device_approval(input)) {
    verify_again(input, evidence::parse_device_approval(input));
  } else {
    verify_again(input, evidence::parse_approval(input));
  }
  return 0;
}
