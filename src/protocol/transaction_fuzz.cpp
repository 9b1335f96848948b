#include "base/panic.h"
#include "protocol/binding.h"

/// T reaches the command line and the page from the SSA: what is accepted is written back byte for byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const intaglio::ByteView input(data, size);
  const auto transaction = intaglio::protocol::parse_transaction(input);
  if (transaction && intaglio::protocol::encode(*transaction) != intaglio::to_bytes(input)) intaglio::panic("T has two encodings");
  return 0;
}
