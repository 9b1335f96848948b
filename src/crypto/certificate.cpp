#include "crypto/certificate.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "crypto/detail/x509.h"

namespace intaglio::crypto {
namespace {

using detail::BioHandle;
using detail::CertificateHandle;

constexpr std::size_t max_certificate_size = 64 * 1024;
constexpr int security_level = 2, max_intermediates = 8;

Result<UnixTime> read_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return Error{ErrorCode::invalid_request, "a time that is not one"};
  const auto date = std::chrono::year(parts.tm_year + 1900) / (parts.tm_mon + 1) / parts.tm_mday;
  return UnixTime(std::chrono::sys_days(date)) + std::chrono::hours(parts.tm_hour) + std::chrono::minutes(parts.tm_min) +
         std::chrono::seconds(parts.tm_sec);
}

std::string printed(const X509_NAME* name) {
  const BioHandle output(BIO_new(BIO_s_mem()));
  if (!output || X509_NAME_print_ex(output.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) return {};
  char* text = nullptr;
  const long length = BIO_get_mem_data(output.get(), &text);
  return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : std::string();
}

Bytes encoded(const X509_NAME* name) {
  unsigned char* buffer = nullptr;
  const int length = i2d_X509_NAME(name, &buffer);
  return detail::take(buffer, length);
}

}  // namespace

namespace detail {

CertificateStack stack_of(const std::vector<Certificate>& certificates) {
  CertificateStack stack(sk_X509_new_null());
  for (const auto& each : certificates) {
    if (!stack || sk_X509_push(stack.get(), each.native()) == 0) panic("no memory for a stack of certificates");
  }
  return stack;
}

StoreHandle store_of(const std::vector<Certificate>& anchors, UnixTime at) {
  StoreHandle store(X509_STORE_new());
  if (!store) panic("no memory for a store of certificates");
  for (const auto& anchor : anchors) X509_STORE_add_cert(store.get(), anchor.native());
  X509_VERIFY_PARAM* const parameters = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_auth_level(parameters, security_level);
  X509_VERIFY_PARAM_set_depth(parameters, max_intermediates);
  X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(unix_seconds(at)));
  return store;
}

}  // namespace detail

Certificate::Certificate(std::shared_ptr<x509_st> certificate, Bytes der)
    : certificate_(std::move(certificate)), der_(std::make_shared<const Bytes>(std::move(der))) {}

Result<Certificate> Certificate::parse_der(ByteView der) {
  if (refused_by("certificate.size", der.size() > max_certificate_size)) {
    return Error{ErrorCode::too_large, "a certificate of more than 64 KiB"};
  }
  const unsigned char* at = der.data();
  CertificateHandle certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return detail::refusal(ErrorCode::invalid_request, "not a certificate");
  if (refused_by("certificate.trailing_bytes", at != der.data() + der.size())) {
    return Error{ErrorCode::invalid_request, "bytes after a certificate"};
  }
  // So that the getters below cannot fail, and an extension that does not parse refuses the certificate here.
  if (X509_check_purpose(certificate.get(), -1, 0) != 1 || !read_time(X509_get0_notBefore(certificate.get())) ||
      !read_time(X509_get0_notAfter(certificate.get()))) {
    return detail::refusal(ErrorCode::invalid_request, "a certificate whose validity or extensions do not parse");
  }
  return Certificate(std::shared_ptr<x509_st>(std::move(certificate)), to_bytes(der));
}

Result<Certificate> Certificate::parse_pem(std::string_view pem) {
  if (pem.size() > 2 * max_certificate_size) return Error{ErrorCode::too_large, "a certificate of more than 64 KiB"};
  const BioHandle input(BIO_new_mem_buf(detail::data_or_empty(as_bytes(pem)), detail::int_size(pem.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long length = 0;
  if (!input || PEM_read_bio(input.get(), &name, &header, &data, &length) != 1) {
    return detail::refusal(ErrorCode::invalid_request, "not PEM");
  }
  const bool is_certificate = std::string_view(name) == PEM_STRING_X509;
  OPENSSL_free(name);
  OPENSSL_free(header);
  const Bytes der = detail::take(data, static_cast<int>(length));
  if (!is_certificate) return Error{ErrorCode::invalid_request, "PEM of something else than a certificate"};
  return parse_der(der);
}

std::string Certificate::pem() const {
  const BioHandle output(BIO_new(BIO_s_mem()));
  char* text = nullptr;
  if (!output || PEM_write_bio_X509(output.get(), certificate_.get()) != 1) panic("no memory for a certificate in PEM");
  const long length = BIO_get_mem_data(output.get(), &text);
  return {text, static_cast<std::size_t>(length)};
}

Sha256Digest Certificate::fingerprint() const { return sha256(*der_); }

Result<PublicKey> Certificate::public_key() const {
  unsigned char* buffer = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate_.get()), &buffer);
  return PublicKey::parse_spki(detail::take(buffer, length));
}

UnixTime Certificate::not_before() const { return *read_time(X509_get0_notBefore(certificate_.get())); }
UnixTime Certificate::not_after() const { return *read_time(X509_get0_notAfter(certificate_.get())); }
std::string Certificate::subject() const { return printed(X509_get_subject_name(certificate_.get())); }
std::string Certificate::issuer() const { return printed(X509_get_issuer_name(certificate_.get())); }
Bytes Certificate::subject_der() const { return encoded(X509_get_subject_name(certificate_.get())); }
Bytes Certificate::issuer_der() const { return encoded(X509_get_issuer_name(certificate_.get())); }

std::string Certificate::serial_hex() const {
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(certificate_.get());
  const std::string hex = encode_hex(ByteView(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))));
  return ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? "-" + hex : hex;
}

Bytes Certificate::serial_der() const {
  unsigned char* buffer = nullptr;
  const int length = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate_.get()), &buffer);
  return detail::take(buffer, length);
}

std::optional<std::string> Certificate::subject_attribute(std::string_view oid) const {
  const X509_NAME* const name = X509_get_subject_name(certificate_.get());
  const std::unique_ptr<ASN1_OBJECT, detail::Freed<ASN1_OBJECT_free>> type(OBJ_txt2obj(std::string(oid).c_str(), 1));
  const int index = type ? X509_NAME_get_index_by_OBJ(name, type.get(), -1) : -1;
  if (index < 0) return std::nullopt;
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (length < 0) return std::nullopt;
  const Bytes utf8 = detail::take(text, length);
  return std::string(as_text(utf8));
}

Status Certificate::verify_issued_by(const Certificate& issuer) const {
  const bool same_name = X509_NAME_cmp(X509_get_issuer_name(certificate_.get()), X509_get_subject_name(issuer.certificate_.get())) == 0;
  if (refused_by("certificate.issuer_name", !same_name)) {
    return Error{ErrorCode::certificate_invalid, "the certificate names another issuer"};
  }
  EVP_PKEY* const key = X509_get0_pubkey(issuer.certificate_.get());
  if (refused_by("certificate.issuer_signature", key == nullptr || X509_verify(certificate_.get(), key) != 1)) {
    return detail::refusal(ErrorCode::certificate_invalid, "the certificate was not signed by that issuer");
  }
  return {};
}

Status verify_chain(const Certificate& leaf, const std::vector<Certificate>& intermediates, const std::vector<Certificate>& anchors,
                    UnixTime at) {
  const auto store = detail::store_of(anchors, at);
  const auto untrusted = detail::stack_of(intermediates);
  const std::unique_ptr<X509_STORE_CTX, detail::Freed<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), store.get(), leaf.native(), untrusted.get()) != 1) {
    return detail::refusal(ErrorCode::internal, "no memory to verify a certificate");
  }
  if (refused_by("certificate.chain", X509_verify_cert(context.get()) != 1)) {
    const std::string reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
    return detail::refusal(ErrorCode::certificate_invalid, "the certificate's path does not verify: " + reason);
  }
  return {};
}

}  // namespace intaglio::crypto
