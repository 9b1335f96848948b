#include "crypto/symmetric.h"

#include <openssl/core_names.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/detail/openssl.h"
#include "crypto/random.h"

namespace intaglio::crypto {
namespace {

using MacContext = std::unique_ptr<EVP_MAC_CTX, detail::Freed<EVP_MAC_CTX_free>>;

constexpr std::size_t key_size = 32, nonce_size = 12, tag_size = 16, counter_size = 16;
constexpr std::size_t sha256_size = 32;

/// OSSL_PARAM takes writable text, which no function that we call writes.
char* text(const char* constant) noexcept { return const_cast<char*>(constant); }
void* bytes(ByteView view) noexcept { return const_cast<std::uint8_t*>(detail::data_or_empty(view)); }

/// OpenSSL's HMAC on a context that the thread keeps: its digest is chosen once, which costs a fetch, and nothing is allocated for a
/// message. Between two calls it holds the state of no key that counts.
class KeptHmac {
 public:
  explicit KeptHmac(const char* digest) noexcept {
    EVP_MAC* hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    context_.reset(EVP_MAC_CTX_new(hmac));
    EVP_MAC_free(hmac);
    const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, text(digest), 0),
                                               OSSL_PARAM_construct_end()};
    if (!context_ || EVP_MAC_init(context_.get(), no_key.data(), no_key.size(), parameters.data()) != 1) panic("no HMAC");
  }

  /// Over the pieces, one after another; `out` has the digest's length.
  void operator()(ByteView key, std::initializer_list<ByteView> pieces, std::span<std::uint8_t> out) const noexcept {
    bool good = EVP_MAC_init(context_.get(), detail::data_or_empty(key), key.size(), nullptr) == 1;
    for (const auto piece : pieces) good = good && EVP_MAC_update(context_.get(), piece.data(), piece.size()) == 1;
    std::size_t written = 0;
    if (!good || EVP_MAC_final(context_.get(), out.data(), &written, out.size()) != 1 || written != out.size()) panic("HMAC failed");
  }
  /// Takes what is left of the last key.
  void forget() const noexcept {
    if (EVP_MAC_init(context_.get(), no_key.data(), no_key.size(), nullptr) != 1) panic("HMAC failed");
  }

 private:
  static constexpr std::array<std::uint8_t, 1> no_key{};
  MacContext context_;
};

struct HmacSha1 : KeptHmac {
  HmacSha1() noexcept : KeptHmac("SHA1") {}
};
struct HmacSha256 : KeptHmac {
  HmacSha256() noexcept : KeptHmac("SHA2-256") {}
};

/// HKDF-Expand (RFC 5869, 2.3) into `rest`.
void expand(const KeptHmac& hmac, ByteView extracted, ByteView info, std::span<std::uint8_t> rest) noexcept {
  Sha256Digest block{};
  for (std::uint8_t count = 1; !rest.empty(); ++count) {
    const ByteView before = count == 1 ? ByteView() : ByteView(block);
    hmac(extracted, {before, info, ByteView(&count, 1)}, block);
    const auto taken = std::min(rest.size(), block.size());
    std::copy_n(block.begin(), taken, rest.begin());
    rest = rest.subspan(taken);
  }
  wipe(block);
}

}  // namespace

namespace detail {

void hmac_sha1(ByteView key, ByteView data, std::span<std::uint8_t> out) noexcept {
  with_kept<HmacSha1>([&](const KeptHmac& hmac) {
    hmac(key, {data}, out);
    hmac.forget();
  });
}

}  // namespace detail

Sha256Digest hmac_sha256(ByteView key, ByteView data) {
  return detail::with_kept<HmacSha256>([&](const KeptHmac& hmac) {
    Sha256Digest out{};
    hmac(key, {data}, out);
    hmac.forget();
    return out;
  });
}

// OpenSSL's HKDF fetches HMAC and SHA-256 anew in each derivation, three quarters of its time; this is RFC 5869 on OpenSSL's HMAC.
Secret hkdf_sha256(ByteView key, ByteView salt, ByteView info, std::size_t length) {
  if (length == 0 || length > 255 * sha256_size) panic("HKDF of a length outside RFC 5869, 2.3");
  return detail::with_kept<HmacSha256>([&](const KeptHmac& hmac) {
    Secret out = Secret::of_size(length);
    Sha256Digest extracted{};
    // No salt is one of zeros (2.2), and HMAC fills a key up with zeros: the empty one serves.
    hmac(salt, {key}, extracted);
    expand(hmac, extracted, info, out.writable());
    hmac.forget();
    wipe(extracted);
    return out;
  });
}

Result<Bytes> gcm_seal(ByteView key, ByteView plaintext, ByteView associated) {
  if (key.size() != key_size) return Error{ErrorCode::internal, "an AES-256 key of another length"};
  auto nonce = random_bytes(nonce_size);
  if (!nonce) return nonce.error();
  Bytes out(nonce_size + plaintext.size() + tag_size);
  std::copy(nonce->begin(), nonce->end(), out.begin());
  const detail::CipherContext context(EVP_CIPHER_CTX_new());
  int written = 0;
  if (!context || EVP_EncryptInit_ex2(context.get(), detail::aes256_gcm(), key.data(), out.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), nullptr, &written, detail::data_or_empty(associated), detail::int_size(associated.size())) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data() + nonce_size, &written, detail::data_or_empty(plaintext),
                        detail::int_size(plaintext.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), out.data() + nonce_size + plaintext.size(), &written) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size), out.data() + out.size() - tag_size) != 1) {
    return detail::refusal(ErrorCode::internal, "AES-GCM failed");
  }
  return out;
}

Result<Secret> gcm_open(ByteView key, ByteView sealed, ByteView associated) {
  if (key.size() != key_size) return Error{ErrorCode::internal, "an AES-256 key of another length"};
  if (sealed.size() < nonce_size + tag_size) return Error{ErrorCode::invalid_request, "sealed bytes are too short"};
  const ByteView nonce = sealed.first(nonce_size);
  const ByteView ciphertext = sealed.subspan(nonce_size, sealed.size() - nonce_size - tag_size);
  const ByteView tag = sealed.last(tag_size);
  Secret plaintext = Secret::of_size(ciphertext.size());
  const detail::CipherContext context(EVP_CIPHER_CTX_new());
  int written = 0;
  if (!context || EVP_DecryptInit_ex2(context.get(), detail::aes256_gcm(), key.data(), nonce.data(), nullptr) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_size), bytes(tag)) != 1 ||
      EVP_DecryptUpdate(context.get(), nullptr, &written, detail::data_or_empty(associated), detail::int_size(associated.size())) != 1 ||
      (!ciphertext.empty() && EVP_DecryptUpdate(context.get(), plaintext.writable().data(), &written, ciphertext.data(),
                                                detail::int_size(ciphertext.size())) != 1)) {
    return detail::refusal(ErrorCode::internal, "AES-GCM failed");
  }
  std::array<std::uint8_t, tag_size> rest{};
  if (refused_by("gcm.tag", EVP_DecryptFinal_ex(context.get(), rest.data(), &written) != 1)) {
    return detail::refusal(ErrorCode::invalid_request, "sealed bytes do not open: altered, or sealed for another purpose");
  }
  return plaintext;
}

Result<Secret> aes256_ctr(ByteView key, ByteView counter, ByteView content) {
  if (key.size() != key_size || counter.size() != counter_size)
    return Error{ErrorCode::internal, "an AES-256 key or counter of another length"};
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  Secret out = Secret::of_size(content.size());
  const detail::CipherContext context(EVP_CIPHER_CTX_new());
  int written = 0;
  if (!context || EVP_EncryptInit_ex2(context.get(), cipher, key.data(), counter.data(), nullptr) != 1 ||
      (!content.empty() &&
       EVP_EncryptUpdate(context.get(), out.writable().data(), &written, content.data(), detail::int_size(content.size())) != 1)) {
    return detail::refusal(ErrorCode::internal, "AES-CTR failed");
  }
  return out;
}

}  // namespace intaglio::crypto
