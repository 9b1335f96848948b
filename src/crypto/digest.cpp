#include "crypto/digest.h"

#include "crypto/detail/openssl.h"

namespace intaglio::crypto {

namespace {

struct KeptDigest {
  detail::DigestContext context{EVP_MD_CTX_new()};
};

Sha256Digest sha256_on(EVP_MD_CTX* context, std::initializer_list<ByteView> pieces) noexcept {
  const EVP_MD* const algorithm = detail::message_digest(HashAlgorithm::sha256);
  Sha256Digest out{};
  bool good = context != nullptr && EVP_DigestInit_ex2(context, algorithm, nullptr) == 1;
  for (const auto piece : pieces) good = good && EVP_DigestUpdate(context, piece.data(), piece.size()) == 1;
  good = good && EVP_DigestFinal_ex(context, out.data(), nullptr) == 1;
  // The state after the last block is the digest, which may be a key: beginning anew overwrites it.
  if (!good || EVP_DigestInit_ex2(context, algorithm, nullptr) != 1) panic("SHA-256 failed");
  return out;
}

}  // namespace

namespace detail {

Sha256Digest sha256_of(std::initializer_list<ByteView> pieces) noexcept {
  return with_kept<KeptDigest>([&](const KeptDigest& kept) { return sha256_on(kept.context.get(), pieces); });
}

}  // namespace detail

Sha256Digest sha256(ByteView data) { return detail::sha256_of({data}); }

Bytes digest(HashAlgorithm hash, ByteView data) {
  Bytes out(digest_length(hash));
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, detail::message_digest(hash), nullptr) != 1) panic("a digest failed");
  return out;
}

struct Hasher::State {
  HashAlgorithm hash;
  detail::DigestContext context;
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
