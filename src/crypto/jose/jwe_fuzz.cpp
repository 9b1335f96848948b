#include "crypto/jose/jwe.h"

#include <cstdlib>

#include "crypto/test_support.h"

/// A fixed key, so that a seed that opens keeps opening and mutations reach what stands behind the header.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  static const auto key = crypto::testing::rfc7515_key();
  const std::string_view compact = as_text({data, size});
  const auto header = crypto::peek_jwe_header(compact);
  const auto opened = crypto::open_jwe(*key, header ? header->typ : "intaglio-sap-sign+jwe", compact);
  if (opened && !header) std::abort();
  return 0;
}
