#include "crypto/tls_client.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "crypto/detail/x509.h"

namespace intaglio::crypto {
namespace {

int type_of(AlternativeName kind) noexcept {
  switch (kind) {
    case AlternativeName::dns: return GEN_DNS;
    case AlternativeName::uri: return GEN_URI;
    case AlternativeName::email: return GEN_EMAIL;
    case AlternativeName::ip: return GEN_IPADD;
  }
  panic("an unknown kind of name");
}

std::string octets_of(const ASN1_STRING* string) {
  return std::string(as_text(ByteView(ASN1_STRING_get0_data(string), static_cast<std::size_t>(ASN1_STRING_length(string)))));
}

}  // namespace

std::vector<std::string> alternative_names(const Certificate& certificate, AlternativeName kind) {
  const std::unique_ptr<GENERAL_NAMES, detail::Freed<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.native(), NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  std::vector<std::string> found;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = -1;
    const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    // These four kinds are strings, each of a type of its own.
    if (type == type_of(kind) && value != nullptr) found.push_back(octets_of(static_cast<const ASN1_STRING*>(value)));
  }
  return found;
}

std::optional<std::string> parse_ip_address(std::string_view text) {
  const std::unique_ptr<ASN1_OCTET_STRING, detail::Freed<ASN1_OCTET_STRING_free>> octets(a2i_IPADDRESS(std::string(text).c_str()));
  ERR_clear_error();
  if (!octets || text.find('\0') != std::string_view::npos) return std::nullopt;
  return octets_of(octets.get());
}

bool is_for_tls_clients(const Certificate& certificate) {
  return X509_check_purpose(certificate.native(), X509_PURPOSE_SSL_CLIENT, /*ca=*/0) == 1;
}

}  // namespace intaglio::crypto
