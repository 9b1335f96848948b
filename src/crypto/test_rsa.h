#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>

#include "crypto/public_key.h"

/// For unit tests of this and other rooms: an RSA key in software, which the product has none of. No product code includes it.
namespace intaglio::crypto::testing {

class RsaKey {
 public:
  RsaKey() : key_(EVP_RSA_gen(2048), EVP_PKEY_free) {}
  [[nodiscard]] PublicKey public_key() const {
    std::uint8_t* out = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &out);
    const Bytes spki(out, out + size);
    OPENSSL_free(out);
    return *PublicKey::parse_spki(spki);
  }
  /// RSASSA-PSS (MGF1 with the same hash, salt as long as the hash) or PKCS #1 v1.5, with SHA-256.
  [[nodiscard]] Bytes sign(bool pss, ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* parameters = nullptr;
    EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, key_.get());
    EVP_PKEY_CTX_set_rsa_padding(parameters, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING);
    if (pss) EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    Bytes signature(256);
    std::size_t size = signature.size();
    EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size());
    signature.resize(size);
    return signature;
  }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

}  // namespace intaglio::crypto::testing
