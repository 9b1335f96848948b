#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <initializer_list>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "crypto/algorithms.h"
#include "crypto/digest.h"

/// What the sources of this room share: owners of OpenSSL handles, and algorithms fetched once for the life of the process
/// (an implicit fetch at each call costs more than a SHA-256 of a short message).
namespace intaglio::crypto::detail {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using KeyHandle = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using BioHandle = std::unique_ptr<BIO, Freed<BIO_free_all>>;

[[nodiscard]] const EVP_MD* message_digest(HashAlgorithm hash) noexcept;
[[nodiscard]] const EVP_CIPHER* aes256_gcm() noexcept;
[[nodiscard]] const EVP_CIPHER* aes256_wrap() noexcept;

/// Calls with the `Kept` of this thread, which is made once: a context costs more than a short message. Once the thread's own are gone, what
/// still runs, as the destructor of a static object, gets one for the call.
template <typename Kept, typename Use>
auto with_kept(const Use& use) {
  thread_local bool gone = false;
  struct Holder {
    Kept kept;
    ~Holder() { gone = true; }
  };
  if (gone) return use(Kept());
  thread_local const Holder holder;
  return use(holder.kept);
}

/// SHA-256 of the pieces, one after another, on a context that the thread keeps and that holds nothing of them afterwards.
[[nodiscard]] Sha256Digest sha256_of(std::initializer_list<ByteView> pieces) noexcept;

/// HMAC-SHA-1 for one-time passwords alone (RFC 6238); `out` has 20 bytes.
void hmac_sha1(ByteView key, ByteView data, std::span<std::uint8_t> out) noexcept;

/// Padding, hash and, for PSS, MGF1 with the same hash and a salt as long as the hash (RFC 8017, 9.1; TS 119 312, 7.3).
[[nodiscard]] bool set_rsa_suite(EVP_PKEY_CTX* context, SignatureSuite suite) noexcept;
[[nodiscard]] bool is_pss(SignatureSuite suite) noexcept;

/// A refusal that carries OpenSSL's last reason; empties its error queue.
[[nodiscard]] Error refusal(ErrorCode code, std::string_view what);

/// Never null, as OpenSSL tells "no key" from "an empty key" by the pointer.
[[nodiscard]] const std::uint8_t* data_or_empty(ByteView bytes) noexcept;

/// A buffer that OpenSSL allocated, copied and freed; empty when `length` is not positive.
[[nodiscard]] Bytes take(unsigned char* buffer, int length);

/// OpenSSL counts in int; what does not fit is refused before it gets there.
[[nodiscard]] int int_size(std::size_t size) noexcept;

}  // namespace intaglio::crypto::detail
