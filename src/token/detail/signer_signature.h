#pragma once

#include "token/detail/activated_object.h"
#include "token/detail/keys.h"
#include "token/detail/one_time_object.h"

namespace intaglio::token::detail {

/// Signatures with signers' keys.
class SignerSignatures {
 public:
  SignerSignatures(Connection& connection, Keys& keys) : connection_(connection), keys_(keys) {}
  [[nodiscard]] SignOutcome sign(unsigned long key, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite, ByteView digest);
  /// With a key that was unwrapped into its own session. A failure ends that key: it is not tried again.
  [[nodiscard]] SignOutcome sign_activated(ActivatedObject& key, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite,
                                           ByteView digest);
  /// With a key of one session, through a session of the pool: session objects are seen by all sessions of a process (PKCS#11 v2.40,
  /// 2.6.2). A doubt ends that key: it is not tried again.
  [[nodiscard]] SignOutcome sign_one_time(OneTimeObject& key, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite,
                                          ByteView digest);
  [[nodiscard]] std::uint64_t made() const noexcept { return made_.load(std::memory_order_relaxed); }

 private:
  struct Attempt;
  /// Before the token is asked: the digest's length, the key's algorithm, what the HSM profile signs by.
  [[nodiscard]] Status check_signable(crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite, ByteView digest) const;
  [[nodiscard]] Attempt attempt(Lease& lease, CK_OBJECT_HANDLE handle, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite,
                                ByteView digest);

  Connection& connection_;
  Keys& keys_;
  std::atomic<std::uint64_t> made_{0};
};

}  // namespace intaglio::token::detail
