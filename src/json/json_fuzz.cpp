#include <cstdlib>

#include "json/json.h"

/// What parses is written, read again and means the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value = intaglio::json::parse(intaglio::as_text({data, size}));
  if (!value) return 0;
  const std::string text = intaglio::json::encode(*value);
  const auto again = intaglio::json::parse(text, {.max_bytes = text.size(), .max_depth = 32, .max_members = 4096});
  if (!again || intaglio::json::encode(*again) != text) std::abort();
  return 0;
}
