#include "crypto/signer.h"

#include <openssl/pem.h>

#include "base/check.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {
namespace {

using detail::KeyContext;
using detail::KeyHandle;

constexpr std::size_t shared_secret_size = 32;

Result<std::shared_ptr<SoftwareKey>> own(KeyHandle key) {
  unsigned char* encoded = nullptr;
  const int length = i2d_PUBKEY(key.get(), &encoded);
  auto public_key = PublicKey::parse_spki(detail::take(encoded, length));
  if (!public_key) return public_key.error();
  return std::make_shared<SoftwareKey>(std::shared_ptr<evp_pkey_st>(std::move(key)), std::move(*public_key));
}

}  // namespace

Result<Bytes> Signer::sign(SignatureSuite suite, ByteView message) const { return sign_digest(suite, digest(hash_of(suite), message)); }

SoftwareKey::SoftwareKey(std::shared_ptr<evp_pkey_st> key, PublicKey public_key) : key_(std::move(key)), public_(std::move(public_key)) {}

Result<std::shared_ptr<SoftwareKey>> SoftwareKey::generate(KeyAlgorithm algorithm) {
  const auto curve = [&] { return algorithm == KeyAlgorithm::p256 ? "P-256" : algorithm == KeyAlgorithm::p384 ? "P-384" : "P-521"; };
  KeyHandle key(is_rsa(algorithm) ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits_of(algorithm)})
                                  : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve()));
  if (!key) return detail::refusal(ErrorCode::internal, "a key could not be generated");
  return own(std::move(key));
}

Result<std::shared_ptr<SoftwareKey>> SoftwareKey::parse_pem(const Secret& pem) {
  const detail::BioHandle input(BIO_new_mem_buf(detail::data_or_empty(pem.reveal()), detail::int_size(pem.size())));
  // A callback that gives no passphrase: without it OpenSSL would ask on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  KeyHandle key(input ? PEM_read_bio_PrivateKey(input.get(), nullptr, no_passphrase, nullptr) : nullptr);
  if (!key) return detail::refusal(ErrorCode::invalid_request, "not an unencrypted private key in PEM");
  auto owned = own(std::move(key));
  if (owned && (*owned)->public_key().algorithm() != KeyAlgorithm::p256)
    return Error{ErrorCode::algorithm_refused, "a software key is on P-256"};
  return owned;
}

Result<Secret> SoftwareKey::encode_pem() const {
  // A memory BIO of OpenSSL's secure heap, so that the key is not left behind in ordinary memory.
  const detail::BioHandle output(BIO_new(BIO_s_secmem()));
  if (!output || PEM_write_bio_PKCS8PrivateKey(output.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return detail::refusal(ErrorCode::internal, "a private key could not be written");
  }
  char* text = nullptr;
  const long length = BIO_get_mem_data(output.get(), &text);
  return Secret(as_bytes(std::string_view(text, static_cast<std::size_t>(length))));
}

Result<Bytes> SoftwareKey::sign_digest(SignatureSuite suite, ByteView digest) const {
  if (!fits(public_.algorithm(), suite)) return Error{ErrorCode::algorithm_refused, "a signature suite that does not fit the key"};
  if (digest.size() != digest_length(hash_of(suite))) {
    return Error{ErrorCode::digest_length, "a digest of another length than its algorithm's"};
  }
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  std::size_t length = 0;
  const bool begun =
      context && EVP_PKEY_sign_init(context.get()) == 1 && (!is_rsa(public_.algorithm()) || detail::set_rsa_suite(context.get(), suite));
  if (!begun || EVP_PKEY_sign(context.get(), nullptr, &length, digest.data(), digest.size()) != 1) {
    return detail::refusal(ErrorCode::internal, "a signature could not be started");
  }
  Bytes signature(length);
  if (EVP_PKEY_sign(context.get(), signature.data(), &length, digest.data(), digest.size()) != 1) {
    return detail::refusal(ErrorCode::internal, "a signature failed");
  }
  signature.resize(length);
  return signature;
}

Result<Secret> SoftwareKey::agree(ByteView peer) const {
  if (public_.algorithm() != KeyAlgorithm::p256) return Error{ErrorCode::algorithm_refused, "key agreement is on P-256"};
  const auto peer_key = PublicKey::from_ec_point(KeyAlgorithm::p256, peer);
  if (!peer_key) return peer_key.error();
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  Secret shared = Secret::of_size(shared_secret_size);
  std::size_t length = shared_secret_size;
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), peer_key->native()) != 1 ||
      EVP_PKEY_derive(context.get(), shared.writable().data(), &length) != 1 || length != shared_secret_size) {
    return detail::refusal(ErrorCode::internal, "a key agreement failed");
  }
  return shared;
}

}  // namespace intaglio::crypto
