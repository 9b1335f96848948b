#pragma once

#include <array>

#include "crypto/algorithms.h"
#include "token/detail/cryptoki.h"
#include "token/token.h"

namespace intaglio::token::detail {

/// The mechanism of a suite and what C_Sign is given: the digest, for PKCS#1 v1.5 inside its DigestInfo. Holds a pointer into
/// itself, hence neither copied nor moved. No allocation.
class SignMechanism {
 public:
  /// The digest has the length of the suite's hash.
  SignMechanism(crypto::SignatureSuite suite, ByteView digest) noexcept;
  SignMechanism(const SignMechanism&) = delete;
  SignMechanism& operator=(const SignMechanism&) = delete;

  [[nodiscard]] CK_MECHANISM* mechanism() noexcept { return &mechanism_; }
  [[nodiscard]] CK_BYTE* input() noexcept { return input_.data(); }
  [[nodiscard]] CK_ULONG input_length() const noexcept { return length_; }

 private:
  CK_MECHANISM mechanism_{};
  CK_RSA_PKCS_PSS_PARAMS pss_{};
  std::array<std::uint8_t, 128> input_{};
  CK_ULONG length_ = 0;
};

/// The PKCS#11 mechanism of a suite: the digest comes ready, so the hash is a parameter at most.
[[nodiscard]] CK_MECHANISM_TYPE mechanism_of(crypto::SignatureSuite suite) noexcept;

/// The largest answer of C_Sign: RSA-4096.
inline constexpr std::size_t max_signature = 512;

/// Refused: `digest_length`, and `algorithm_refused` for a suite that is not this key's.
Status check_sign_input(crypto::KeyAlgorithm key, crypto::SignatureSuite suite, ByteView digest);
/// What the token gave as it is released: an RSA block as it is, r|s as DER. `token_unavailable` for another length.
[[nodiscard]] Result<Bytes> released_form(crypto::KeyAlgorithm key, ByteView raw);

}  // namespace intaglio::token::detail
