#include "base/secret.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "base/sanitized.h"

namespace intaglio {
namespace {

constexpr std::size_t large_secret = 4096;

std::once_flag pool_once;
std::size_t pool_size = 0;
std::atomic<PoolState> pool_state{PoolState::not_locked};

void make_pool(std::size_t bytes) {
  std::size_t size = 4096;
  while (size < bytes) size *= 2;
  // 1: arena locked; 2: arena made, but mlock was refused; 0: no arena.
  const int made = CRYPTO_secure_malloc_init(size, 32);
  if (made == 0) panic("the pool for secrets could not be made");
  pool_size = size;
  pool_state = made == 1 ? PoolState::locked : PoolState::not_locked;
}

void ensure_pool() {
  std::call_once(pool_once, [] { make_pool(std::size_t{1} << 20U); });
}

}  // namespace

PoolState open_secret_pool(std::size_t bytes) {
  std::call_once(pool_once, [&] { make_pool(bytes); });
  return pool_state;
}

PoolState secret_pool_state() noexcept { return pool_state; }

Secret::Secret(ByteView bytes) {
  *this = of_size(bytes.size());
  if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
}

Secret Secret::of_size(std::size_t size) {
  ensure_pool();
  Secret secret;
  if (size == 0) return secret;
  if (size > pool_size) throw SecretsExhausted();
  // The arena gives powers of two.
  const bool into_reserve = size > large_secret && CRYPTO_secure_used() + std::bit_ceil(size) > pool_size / 4 * 3;
  if (refused_by("base.secret_reserve", into_reserve)) throw SecretsExhausted();
  secret.data_ = static_cast<std::uint8_t*>(OPENSSL_secure_zalloc(size));
  if (secret.data_ == nullptr) throw SecretsExhausted();
  secret.size_ = size;
  return secret;
}

Secret::~Secret() {
  if (data_ != nullptr) OPENSSL_secure_clear_free(data_, size_);
}

Secret::Secret(Secret&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) OPENSSL_secure_clear_free(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

bool same_secret(ByteView left, ByteView right) noexcept {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

void wipe(std::span<std::uint8_t> bytes) noexcept { OPENSSL_cleanse(bytes.data(), bytes.size()); }
void wipe(std::string& text) noexcept { OPENSSL_cleanse(text.data(), text.size()); }

WipeAtExit::~WipeAtExit() {
  if (bytes_ != nullptr) wipe(*bytes_);
  if (text_ != nullptr) wipe(*text_);
}

Status harden_process() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return Error{ErrorCode::configuration, "core dumps could not be switched off"};
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Error{ErrorCode::configuration, "PR_SET_DUMPABLE was refused"};
  return {};
}

}  // namespace intaglio

#ifndef INTAGLIO_SANITIZED
/// A secret passes through texts that are not ours before it reaches the pool: a parser's token buffer, a message of a library, a
/// string that grew. So every block of the C++ heap is wiped when it is freed, on all paths. The sanitizers' own heap stays as it is.
/// `new` stays the library's, which takes its blocks from malloc.
// NOLINTBEGIN(cert-dcl54-cpp, misc-new-delete-overloads)
void operator delete(void* block) noexcept {
  if (block == nullptr) return;
  // Of the C library, which the compiler keeps too, and which writes wide words where OPENSSL_cleanse writes single ones.
  ::explicit_bzero(block, ::malloc_usable_size(block));
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept { ::operator delete(block); }
void operator delete[](void* block) noexcept { ::operator delete(block); }
void operator delete[](void* block, std::size_t) noexcept { ::operator delete(block); }
// NOLINTEND(cert-dcl54-cpp, misc-new-delete-overloads)
#endif
