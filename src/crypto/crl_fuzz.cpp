#include <cstdlib>

#include "crypto/revocation.h"

/// Revocation lists that the SSA relays to the SAM, and OCSP responses that a client fetched.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const ByteView input(data, size);
  if (const auto list = crypto::parse_crl(input)) {
    for (const auto& each : list->revoked) {
      if (list->find(each.serial_hex) == nullptr || crypto::name_of(each.reason).empty()) std::abort();
    }
  }
  if (const auto delta = crypto::parse_delta_crl(input)) {
    // What is a delta list is never taken for a complete one.
    if (delta->base >= delta->changes.number || crypto::parse_crl(input)) std::abort();
  }
  if (const auto answer = crypto::parse_ocsp_response(input)) {
    for (const auto& each : answer->certificates) {
      if ((each.status == crypto::CertificateStatus::revoked) != each.revoked_at.has_value()) std::abort();
    }
  }
  return 0;
}
