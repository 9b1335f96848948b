#include <cstdlib>

#include "crypto/inspection.h"
#include "crypto/revocation.h"

/// What a stranger posts to the OCSP responder; and, as it is near, the inspection of a certificate.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const ByteView input(data, size);
  if (const auto request = crypto::parse_ocsp_request(input)) {
    if (request->certificates.empty() || request->certificates.size() > crypto::max_ocsp_certificates || request->nonce.size() > 128)
      std::abort();
    for (const auto& each : request->certificates) {
      // An answer repeats the identifier: it must be what a parser takes as the same.
      if (each.der.empty() || each.serial_hex.empty()) std::abort();
    }
  }
  if (const auto name = crypto::parse_name(input); name && name->size() > size) std::abort();
  if (const auto certificate = crypto::Certificate::parse_der(input)) {
    const auto facts = crypto::inspect(*certificate);
    if (facts && facts->subject_der != certificate->subject_der()) std::abort();
  }
  return 0;
}
