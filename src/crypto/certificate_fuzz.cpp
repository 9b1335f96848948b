#include "crypto/certificate.h"

#include <cstdlib>

#include "crypto/cms.h"
#include "crypto/tls_client.h"

/// Certificates, requests, keys and CMS of strangers. Whatever parses must survive every getter.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const ByteView input(data, size);
  if (const auto certificate = crypto::Certificate::parse_der(input)) {
    const UnixTime at = certificate->not_before();
    const bool in_order = at <= certificate->not_after();
    const std::size_t length = certificate->subject().size() + certificate->issuer().size() + certificate->serial_hex().size() +
                               certificate->subject_attribute("2.5.4.3").value_or("").size() + certificate->subject_der().size();
    const bool own = bool(certificate->verify_issued_by(*certificate)) && bool(certificate->public_key()) && in_order;
    if (own && length == 0) std::abort();
    if (crypto::is_for_tls_clients(*certificate)) {
      for (const auto& address : crypto::alternative_names(*certificate, crypto::AlternativeName::ip)) {
        if (address.size() > size) std::abort();
      }
    }
    if (crypto::verify_chain(*certificate, {}, {*certificate}, at) && crypto::Certificate::parse_pem(certificate->pem())->der().empty()) {
      std::abort();
    }
  }
  if (const auto request = crypto::parse_csr(input); request && !crypto::PublicKey::parse_spki(request->key.spki())) std::abort();
  if (const auto key = crypto::PublicKey::parse_spki(input); key && key->spki() != to_bytes(input)) std::abort();
  if (const auto hash = crypto::cms_digest_algorithm(input)) {
    const Bytes digest(crypto::digest_length(*hash));
    const auto verified = crypto::verify_cms_detached(input, digest, {}, from_unix_seconds(1795171020));
    if (verified) std::abort();
  }
  return 0;
}
