#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include <filesystem>

#include "base/file.h"
#include "base/panic.h"
#include "protocol/wire.h"

/// For tests: a folder that goes away, and self-signed identities in it.
namespace intaglio::protocol::wire {

class TestFolder {
 public:
  TestFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "intaglio-wire-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) panic("no temporary folder");
    path_ = pattern;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct TestIdentity {
  TlsIdentity files;
  crypto::Sha256Digest pin;
};

inline std::string pem_of(auto writer) {
  BIO* memory = BIO_new(BIO_s_mem());
  writer(memory);
  char* data = nullptr;
  const auto length = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<std::size_t>(length));
  BIO_free(memory);
  return text;
}

/// A P-256 key and a certificate of its own that ended in 1970: only the pin counts.
inline TestIdentity make_identity(const std::filesystem::path& folder, const std::string& name) {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  ASN1_TIME_set(X509_getm_notBefore(certificate), 0);
  ASN1_TIME_set(X509_getm_notAfter(certificate), 1);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  unsigned char* spki = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
  const auto file = [&](const std::string& suffix, const std::string& content, unsigned mode) {
    const auto path = folder / (name + suffix);
    if (!write_file_durably(path, as_bytes(content), mode)) panic("identity not written");
    return path.string();
  };
  TestIdentity identity{
      .files = {.certificate_file = file(".crt", pem_of([&](BIO* out) { PEM_write_bio_X509(out, certificate); }), 0644),
                .private_key_file =
                    file(".key", pem_of([&](BIO* out) { PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); }),
                         0600)},
      .pin = crypto::sha256(ByteView(spki, static_cast<std::size_t>(length)))};
  OPENSSL_free(spki);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

}  // namespace intaglio::protocol::wire
