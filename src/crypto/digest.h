#pragma once

#include <array>
#include <memory>

#include "base/bytes.h"
#include "crypto/algorithms.h"

namespace intaglio::crypto {

using Sha256Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha256Digest sha256(ByteView data);
[[nodiscard]] Bytes digest(HashAlgorithm hash, ByteView data);

/// A digest over data that comes in pieces.
class Hasher {
 public:
  explicit Hasher(HashAlgorithm hash);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  Hasher& update(ByteView data);
  /// Ends it; a further call is a bug.
  [[nodiscard]] Bytes finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace intaglio::crypto
