#include <openssl/x509.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {
namespace {

using NameHandle = std::unique_ptr<X509_NAME, detail::Freed<X509_NAME_free>>;
using RequestHandle = std::unique_ptr<X509_REQ, detail::Freed<X509_REQ_free>>;

constexpr std::size_t max_request_size = 64 * 1024, max_attributes = 32, max_value_size = 1024;
constexpr std::string_view country_name = "2.5.4.6", serial_number = "2.5.4.5", email_address = "1.2.840.113549.1.9.1";

bool is_printable(std::string_view text) noexcept {
  constexpr std::string_view others = " '()+,-./:=?";  // X.680 41.4
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || others.find(c) != std::string_view::npos;
  });
}

bool is_oid(std::string_view text) noexcept {
  // The second arc is bounded because the first two share one octet string (X.690, 8.19.4).
  if (text.size() < 3 || text.size() > 64 || text[0] < '0' || text[0] > '2' || text[1] != '.' || text.back() == '.') return false;
  std::size_t digits = 0;
  unsigned second = 0;
  bool in_second = true;
  for (const char c : text.substr(2)) {
    if (c == '.') {
      if (digits == 0) return false;
      digits = 0;
      in_second = false;
    } else if (c < '0' || c > '9' || ++digits > 18) {
      return false;
    } else if (in_second && second < 1000) {
      second = second * 10 + static_cast<unsigned>(c - '0');
    }
  }
  return text[0] == '2' || second < 40;
}

Result<Bytes> encode_value(const NameAttribute& attribute) {
  if (attribute.oid == country_name || attribute.oid == serial_number) {
    if (!is_printable(attribute.value)) {
      return Error{ErrorCode::invalid_request, "a country or serial number that is no PrintableString"};
    }
    return der::printable(attribute.value);
  }
  if (attribute.oid == email_address) return der::ia5(attribute.value);
  return der::utf8(attribute.value);
}

}  // namespace

Result<Bytes> encode_name(const std::vector<NameAttribute>& attributes) {
  if (attributes.size() > max_attributes) return Error{ErrorCode::invalid_request, "a name of too many attributes"};
  std::vector<Bytes> names;
  for (const auto& attribute : attributes) {
    if (!is_oid(attribute.oid) || attribute.value.empty() || attribute.value.size() > max_value_size) {
      return Error{ErrorCode::invalid_request, "a name attribute without type or value, or one too long"};
    }
    auto value = encode_value(attribute);
    if (!value) return value.error();
    names.push_back(der::set_of({der::sequence({der::oid(attribute.oid), *value})}));
  }
  Bytes encoded = der::sequence(names);
  const unsigned char* at = encoded.data();
  const NameHandle parsed(d2i_X509_NAME(nullptr, &at, static_cast<long>(encoded.size())));
  if (!parsed || at != encoded.data() + encoded.size()) return detail::refusal(ErrorCode::invalid_request, "a name that does not parse");
  return encoded;
}

Result<CertificateRequest> parse_csr(ByteView der) {
  if (refused_by("csr.size", der.size() > max_request_size)) return Error{ErrorCode::too_large, "a request of more than 64 KiB"};
  const unsigned char* at = der.data();
  const RequestHandle request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request || at != der.data() + der.size()) return detail::refusal(ErrorCode::invalid_request, "not a certificate request");
  unsigned char* buffer = nullptr;
  const int key_length = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request.get()), &buffer);
  auto key = PublicKey::parse_spki(detail::take(buffer, key_length));
  if (!key) return key.error();
  if (refused_by("csr.proof_of_possession", X509_REQ_verify(request.get(), key->native()) != 1)) {
    return detail::refusal(ErrorCode::invalid_request, "the request was not signed by the key that it asks a certificate for");
  }
  unsigned char* name = nullptr;
  const int name_length = i2d_X509_NAME(X509_REQ_get_subject_name(request.get()), &name);
  return CertificateRequest{std::move(*key), detail::take(name, name_length)};
}

Result<Bytes> encode_csr_info(ByteView subject_der, const PublicKey& key) {
  const unsigned char* at = subject_der.data();
  const NameHandle parsed(d2i_X509_NAME(nullptr, &at, static_cast<long>(subject_der.size())));
  if (!parsed || at != subject_der.data() + subject_der.size()) return detail::refusal(ErrorCode::invalid_request, "not a name");
  // attributes [0] is mandatory, though it may be empty.
  return der::sequence({der::integer(0), subject_der, key.spki(), der::explicit_tag(0, {})});
}

Result<Bytes> assemble_csr(ByteView info, SignatureSuite suite, ByteView signature) {
  Bytes request = assemble_signed(info, suite, signature);
  if (auto parsed = parse_csr(request); !parsed) return parsed.error();
  return request;
}

Bytes algorithm_identifier(SignatureSuite suite) {
  switch (suite) {
    case SignatureSuite::ecdsa_sha256: return der::sequence({der::oid("1.2.840.10045.4.3.2")});
    case SignatureSuite::ecdsa_sha384: return der::sequence({der::oid("1.2.840.10045.4.3.3")});
    case SignatureSuite::ecdsa_sha512: return der::sequence({der::oid("1.2.840.10045.4.3.4")});
    case SignatureSuite::rsa_pkcs1_sha256: return der::sequence({der::oid("1.2.840.113549.1.1.11"), der::null()});
    case SignatureSuite::rsa_pkcs1_sha384: return der::sequence({der::oid("1.2.840.113549.1.1.12"), der::null()});
    case SignatureSuite::rsa_pkcs1_sha512: return der::sequence({der::oid("1.2.840.113549.1.1.13"), der::null()});
    case SignatureSuite::rsa_pss_sha256:
    case SignatureSuite::rsa_pss_sha384:
    case SignatureSuite::rsa_pss_sha512: break;
  }
  // RSASSA-PSS-params (RFC 4055, 3.1); trailerField has its default and is left out.
  const HashAlgorithm hash = hash_of(suite);
  const Bytes digest = der::sequence({der::oid(oid_of(hash)), der::null()});
  const Bytes mask = der::sequence({der::oid("1.2.840.113549.1.1.8"), digest});
  return der::sequence(
      {der::oid("1.2.840.113549.1.1.10"), der::sequence({der::explicit_tag(0, digest), der::explicit_tag(1, mask),
                                                         der::explicit_tag(2, der::integer(std::uint64_t{digest_length(hash)}))})});
}

Bytes digest_identifier(HashAlgorithm hash) { return der::sequence({der::oid(oid_of(hash))}); }

Bytes assemble_signed(ByteView tbs, SignatureSuite suite, ByteView signature) {
  return der::sequence({tbs, algorithm_identifier(suite), der::bit_string(signature)});
}

}  // namespace intaglio::crypto
