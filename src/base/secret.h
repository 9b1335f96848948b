#pragma once

#include <cstddef>
#include <iosfwd>
#include <new>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio {

/// Thrown where the pool has no room for a secret. Strangers decide how many secrets are open at once, so that this is no bug:
/// who serves them answers `busy`.
class SecretsExhausted : public std::bad_alloc {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "the pool for secrets is exhausted"; }
};

/// Bytes that must not outlive their use: PINs, OTPs, SAD plaintext, data keys, token PINs.
///
/// Move-only, so that every copy is visible in review. Not printable and not comparable, so that it reaches neither a log
/// nor a timing channel by accident. Held in one locked, guarded pool that is not part of a core; wiped when it ends.
class Secret {
 public:
  Secret() noexcept = default;
  /// Copies the bytes into the pool; the caller wipes its own (see wipe). Throws SecretsExhausted, as every making of a secret.
  explicit Secret(ByteView bytes);
  /// A secret of this length, zeroed, to be filled through writable().
  [[nodiscard]] static Secret of_size(std::size_t size);
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  bool operator==(const Secret&) const = delete;  // use same_secret

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// The only door to the bytes. Grep for `reveal(` to audit every use.
  [[nodiscard]] ByteView reveal() const& noexcept { return {data_, size_}; }
  ByteView reveal() && = delete;  // no views into temporaries
  [[nodiscard]] std::span<std::uint8_t> writable() & noexcept { return {data_, size_}; }

  /// A copy that can be seen in review.
  [[nodiscard]] Secret clone() const { return Secret(reveal()); }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

std::ostream& operator<<(std::ostream&, const Secret&) = delete;

/// Compares in constant time; lengths are public.
[[nodiscard]] bool same_secret(ByteView left, ByteView right) noexcept;

/// Overwrites with zeros in a way that the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;
void wipe(std::string& text) noexcept;

/// Wipes what it refers to when the scope ends, on every path.
class WipeAtExit {
 public:
  explicit WipeAtExit(Bytes& bytes) noexcept : bytes_(&bytes) {}
  explicit WipeAtExit(std::string& text) noexcept : text_(&text) {}
  ~WipeAtExit();
  WipeAtExit(const WipeAtExit&) = delete;
  WipeAtExit& operator=(const WipeAtExit&) = delete;

 private:
  Bytes* bytes_ = nullptr;
  std::string* text_ = nullptr;
};

/// Makes the pool before the first secret: `bytes` is rounded up to a power of two. Without the call the first secret makes
/// a pool of 1 MiB. Large secrets (beyond 4 KiB: messages and documents of strangers) may take three quarters of it, so that
/// what was begun always finds room for its small ones. The result says whether the pool is locked into memory.
enum class PoolState { locked, not_locked };
PoolState open_secret_pool(std::size_t bytes);
[[nodiscard]] PoolState secret_pool_state() noexcept;

/// Core dumps off, not traceable by the same user (prctl PR_SET_DUMPABLE 0, RLIMIT_CORE 0). For every process that holds secrets.
Status harden_process();

}  // namespace intaglio
