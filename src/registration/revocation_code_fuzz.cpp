#include <cstddef>
#include <cstdint>

#include "base/panic.h"
#include "registration/revocation_codes.h"

/// A revocation code as anybody may type it; what is taken has one meaning, whichever way it is written.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const auto taken = registration::parse_revocation_code(as_text({data, size}));
  if (!taken) return 0;
  if (taken->selector.size() != 8 || taken->secret.reveal().size() != 10) panic("a code of another length");
  const auto again = registration::parse_revocation_code(taken->selector + "-" + encode_base32(taken->secret.reveal()));
  if (!again || again->selector != taken->selector || !same_secret(again->secret.reveal(), taken->secret.reveal())) {
    panic("a second meaning");
  }
  return 0;
}
