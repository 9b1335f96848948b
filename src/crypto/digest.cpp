#include "crypto/digest.h"

#include "crypto/detail/openssl.h"

namespace intaglio::crypto {

Sha256Digest sha256(ByteView data) {
  Sha256Digest out{};
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, detail::message_digest(HashAlgorithm::sha256), nullptr) != 1) {
    panic("SHA-256 failed");
  }
  return out;
}

Bytes digest(HashAlgorithm hash, ByteView data) {
  Bytes out(digest_length(hash));
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, detail::message_digest(hash), nullptr) != 1) panic("a digest failed");
  return out;
}

struct Hasher::State {
  HashAlgorithm hash;
  std::unique_ptr<EVP_MD_CTX, detail::Freed<EVP_MD_CTX_free>> context;
};

Hasher::Hasher(HashAlgorithm hash) : state_(std::make_unique<State>(State{hash, {}})) {
  state_->context.reset(EVP_MD_CTX_new());
  if (!state_->context || EVP_DigestInit_ex2(state_->context.get(), detail::message_digest(hash), nullptr) != 1) {
    panic("a digest could not be started");
  }
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher& Hasher::update(ByteView data) {
  if (!state_ || EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) != 1) panic("update of a digest that has ended");
  return *this;
}

Bytes Hasher::finish() {
  if (!state_) panic("finish of a digest that has ended");
  Bytes out(digest_length(state_->hash));
  if (EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) != 1) panic("a digest failed");
  state_.reset();
  return out;
}

}  // namespace intaglio::crypto
