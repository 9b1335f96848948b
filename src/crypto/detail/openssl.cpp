#include "crypto/detail/openssl.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include <array>
#include <limits>

namespace intaglio::crypto::detail {
namespace {

const EVP_MD* fetch_digest(const char* name) noexcept {
  const EVP_MD* digest = EVP_MD_fetch(nullptr, name, nullptr);
  if (digest == nullptr) panic("OpenSSL offers no SHA-2");
  return digest;
}

const EVP_CIPHER* fetch_cipher(const char* name) noexcept {
  const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  if (cipher == nullptr) panic("OpenSSL does not offer a cipher that we need");
  return cipher;
}

}  // namespace

const EVP_MD* message_digest(HashAlgorithm hash) noexcept {
  static const EVP_MD* const sha256 = fetch_digest("SHA2-256");
  static const EVP_MD* const sha384 = fetch_digest("SHA2-384");
  static const EVP_MD* const sha512 = fetch_digest("SHA2-512");
  switch (hash) {
    case HashAlgorithm::sha256: return sha256;
    case HashAlgorithm::sha384: return sha384;
    case HashAlgorithm::sha512: return sha512;
  }
  panic("a hash algorithm outside its enumeration");
}

const EVP_CIPHER* aes256_gcm() noexcept {
  static const EVP_CIPHER* const cipher = fetch_cipher("AES-256-GCM");
  return cipher;
}

const EVP_CIPHER* aes256_wrap() noexcept {
  static const EVP_CIPHER* const cipher = fetch_cipher("AES-256-WRAP");
  return cipher;
}

bool is_pss(SignatureSuite suite) noexcept {
  return suite == SignatureSuite::rsa_pss_sha256 || suite == SignatureSuite::rsa_pss_sha384 || suite == SignatureSuite::rsa_pss_sha512;
}

bool set_rsa_suite(EVP_PKEY_CTX* context, SignatureSuite suite) noexcept {
  const EVP_MD* hash = message_digest(hash_of(suite));
  const int padding = is_pss(suite) ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
  if (EVP_PKEY_CTX_set_rsa_padding(context, padding) != 1 || EVP_PKEY_CTX_set_signature_md(context, hash) != 1) return false;
  return !is_pss(suite) ||
         (EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

Error refusal(ErrorCode code, std::string_view what) {
  std::string detail(what);
  const unsigned long reason = ERR_peek_last_error();
  if (reason != 0) {
    std::array<char, 160> text{};
    ERR_error_string_n(reason, text.data(), text.size());
    detail.append(" (").append(text.data()).append(")");
    ERR_clear_error();
  }
  return Error{code, std::move(detail)};
}

const std::uint8_t* data_or_empty(ByteView bytes) noexcept {
  static constexpr std::uint8_t nothing = 0;
  return bytes.empty() ? &nothing : bytes.data();
}

Bytes take(unsigned char* buffer, int length) {
  Bytes copy;
  if (length > 0) copy.assign(buffer, buffer + length);
  OPENSSL_free(buffer);
  return copy;
}

int int_size(std::size_t size) noexcept {
  if (size > static_cast<std::size_t>(std::numeric_limits<int>::max())) panic("a length that OpenSSL cannot count");
  return static_cast<int>(size);
}

}  // namespace intaglio::crypto::detail
