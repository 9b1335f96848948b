#include "crypto/detail/key_wrap.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include <array>

#include "base/check.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto::detail {
namespace {

constexpr std::size_t wrapping_key_size = 32, wrap_overhead = 8;

CipherContext make_wrap_context() {
  CipherContext context(EVP_CIPHER_CTX_new());
  if (context) EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  return context;
}

}  // namespace

Result<Secret> concat_kdf(const Secret& shared, std::string_view algorithm, ByteView apu, ByteView apv, std::size_t bytes) {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "SSKDF", nullptr);
  Bytes info;
  append_field(info, algorithm);
  append_field(info, apu);
  append_field(info, apv);
  for (unsigned shift = 32; shift > 0; shift -= 8) info.push_back(static_cast<std::uint8_t>(bytes * 8 >> (shift - 8) & 0xFFU));
  std::string digest = "SHA2-256";
  const std::array<OSSL_PARAM, 4> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, const_cast<std::uint8_t*>(shared.reveal().data()), shared.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end(),
  };
  const std::unique_ptr<EVP_KDF_CTX, Freed<EVP_KDF_CTX_free>> context(EVP_KDF_CTX_new(kdf));
  Secret key = Secret::of_size(bytes);
  if (!context || EVP_KDF_derive(context.get(), key.writable().data(), bytes, parameters.data()) != 1) {
    return refusal(ErrorCode::internal, "a key derivation failed");
  }
  return key;
}

Result<Bytes> wrap_key(const Secret& wrapping_key, const Secret& key) {
  if (wrapping_key.size() != wrapping_key_size) return Error{ErrorCode::internal, "an AES-256 key of another length"};
  const CipherContext context = make_wrap_context();
  Bytes wrapped(key.size() + wrap_overhead);
  int length = 0;
  if (!context || EVP_EncryptInit_ex2(context.get(), aes256_wrap(), wrapping_key.reveal().data(), nullptr, nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), wrapped.data(), &length, key.reveal().data(), int_size(key.size())) != 1 ||
      static_cast<std::size_t>(length) != wrapped.size()) {
    return refusal(ErrorCode::internal, "a key could not be wrapped");
  }
  return wrapped;
}

Result<Secret> unwrap_key(const Secret& wrapping_key, ByteView wrapped) {
  if (wrapping_key.size() != wrapping_key_size || wrapped.size() < 3 * wrap_overhead) {
    return Error{ErrorCode::invalid_request, "a wrapped key of another length"};
  }
  const CipherContext context = make_wrap_context();
  // OpenSSL writes at most the length of its input before it checks the integrity value.
  Secret padded = Secret::of_size(wrapped.size());
  int length = 0;
  if (!context || EVP_DecryptInit_ex2(context.get(), aes256_wrap(), wrapping_key.reveal().data(), nullptr, nullptr) != 1) {
    return refusal(ErrorCode::internal, "a key could not be unwrapped");
  }
  const int opened = EVP_DecryptUpdate(context.get(), padded.writable().data(), &length, wrapped.data(), int_size(wrapped.size()));
  if (opened != 1 || static_cast<std::size_t>(length) + wrap_overhead != wrapped.size()) {
    return refusal(ErrorCode::invalid_request, "a wrapped key that does not open with that key");
  }
  return Secret(padded.reveal().first(static_cast<std::size_t>(length)));
}

}  // namespace intaglio::crypto::detail
