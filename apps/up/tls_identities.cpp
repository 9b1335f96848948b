#include "tls_identities.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/random.h"

namespace intaglio::up {
namespace {

constexpr long hour = 3600;
constexpr long day = 24 * hour;
constexpr long authority_days = 3650;
constexpr long identity_days = 730;

using Key = std::shared_ptr<EVP_PKEY>;
using Cert = std::shared_ptr<X509>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

const Error library_error{ErrorCode::internal, "OpenSSL refuses to make a TLS identity"};

Result<Key> make_key() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free);
  if (!key) return library_error;
  return key;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool set_name(X509* certificate, const std::string& common_name) {
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, text, static_cast<int>(common_name.size()), -1,
                                    0) == 1;
}

/// Serial, times, subject and key: what authority and identity have in common.
Result<Cert> make_certificate(const std::string& common_name, EVP_PKEY* key, long days) {
  Cert certificate(X509_new(), X509_free);
  auto serial = crypto::random_bytes(16);
  if (!serial) return serial.error();
  serial->front() = static_cast<std::uint8_t>((serial->front() & 0x3fU) | 0x40U);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(serial->data(), static_cast<int>(serial->size()), nullptr), BN_free);
  const bool made = certificate && number && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                    BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
                    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -hour) != nullptr &&
                    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * day) != nullptr &&
                    set_name(certificate.get(), common_name) && X509_set_pubkey(certificate.get(), key) == 1;
  if (!made) return library_error;
  return certificate;
}

Status write_pem(const std::filesystem::path& path, unsigned mode, auto&& write) {
  const Bio bio(BIO_new(BIO_s_secmem()), BIO_free_all);
  if (!bio || !write(bio.get())) return library_error;
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  if (length <= 0) return library_error;
  return write_file_durably(path, as_bytes({data, static_cast<std::size_t>(length)}), mode);
}

Status write_certificate(const std::filesystem::path& path, X509* certificate) {
  return write_pem(path, 0644, [&](BIO* bio) { return PEM_write_bio_X509(bio, certificate) == 1; });
}

Status write_key(const std::filesystem::path& path, EVP_PKEY* key) {
  return write_pem(path, 0600,
                   [&](BIO* bio) { return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1; });
}

Result<std::string> pin_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key, &der);
  if (length <= 0) return library_error;
  const auto digest = crypto::sha256({der, static_cast<std::size_t>(length)});
  OPENSSL_free(der);
  return encode_hex(digest);
}

}  // namespace

Result<TlsAuthority> TlsAuthority::create(const std::string& common_name, const std::filesystem::path& certificate_file) {
  const auto key = make_key();
  if (!key) return key.error();
  const auto made = make_certificate(common_name, key->get(), authority_days);
  if (!made) return made.error();
  X509* certificate = made->get();
  const bool complete = X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
                        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                        add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                        add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
                        X509_sign(certificate, key->get(), EVP_sha256()) > 0;
  if (!complete) return library_error;
  if (auto written = write_certificate(certificate_file, certificate); !written) return written.error();
  return TlsAuthority(*key, *made);
}

Result<std::string> TlsAuthority::issue(const std::string& common_name, TlsRole role, const std::filesystem::path& certificate_file,
                                        const std::filesystem::path& key_file) const {
  const auto key = make_key();
  if (!key) return key.error();
  const auto made = make_certificate(common_name, key->get(), identity_days);
  if (!made) return made.error();
  X509* certificate = made->get();
  X509* issuer = certificate_.get();
  const bool server = role == TlsRole::server;
  const bool complete = X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
                        add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                        add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
                        add_extension(certificate, issuer, NID_ext_key_usage, server ? "serverAuth" : "clientAuth") &&
                        (!server || add_extension(certificate, issuer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1")) &&
                        add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
                        add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
                        X509_sign(certificate, key_.get(), EVP_sha256()) > 0;
  if (!complete) return library_error;
  if (auto written = write_certificate(certificate_file, certificate); !written) return written.error();
  if (auto written = write_key(key_file, key->get()); !written) return written.error();
  return pin_of(key->get());
}

}  // namespace intaglio::up
