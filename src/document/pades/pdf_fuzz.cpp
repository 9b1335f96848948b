#include <cstdlib>

#include "document/pades/sign.h"
#include "document/pades/verify.h"

using namespace intaglio;

// Any bytes either are refused, or give an update after which the document is still read and has one signature more.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, data + size);
  const document::pades::SignatureOptions options{
      .hash = crypto::HashAlgorithm::sha256, .contents_bytes = 1024, .time = from_unix_seconds(1'795'000'000), .name = "Ada", .reason = ""};
  const auto source = document::pades::from_memory(input);
  (void)document::pades::verify(source, {}, options.time);
  auto prepared = document::pades::prepare(source, options);
  if (!prepared) return 0;
  auto update = prepared->update_with(Bytes{0x30, 0x00});
  if (!update) std::abort();
  Bytes all = input;
  append(all, *update);
  auto facts = document::pades::inspect(document::pades::from_memory(all));
  if (!facts || facts->signatures != prepared->facts().signatures + 1 || facts->pages != prepared->facts().pages) std::abort();
  return 0;
}
