#pragma once

#include <openssl/x509.h>

#include "crypto/certificate.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto::detail {

using CertificateHandle = std::unique_ptr<X509, Freed<X509_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
struct StackFreed {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_free(stack); }
};
/// A stack that does not own its certificates.
using CertificateStack = std::unique_ptr<STACK_OF(X509), StackFreed>;

[[nodiscard]] CertificateStack stack_of(const std::vector<Certificate>& certificates);
/// Anchors only; partial chains end at one of them; signatures and keys of at least 112 bits of security.
[[nodiscard]] StoreHandle store_of(const std::vector<Certificate>& anchors, UnixTime at);

}  // namespace intaglio::crypto::detail
