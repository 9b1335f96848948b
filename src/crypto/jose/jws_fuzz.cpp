#include "crypto/jose/jws.h"

#include <cstdlib>

#include "crypto/test_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  static const auto key = crypto::testing::rfc7515_key();
  const std::string_view text = as_text({data, size});
  const auto header = crypto::peek_jws_header(text);
  const auto payload = crypto::verify_jws(text, header ? header->typ : "intaglio-sad+jwt", key->public_key());
  if (payload && !header) std::abort();
  const auto jwk = crypto::parse_jwk(text);
  if (jwk && *crypto::parse_jwk(*crypto::encode_jwk(*jwk))->ec_point() != *jwk->ec_point()) std::abort();
  return 0;
}
