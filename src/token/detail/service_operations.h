#pragma once

#include "token/detail/keys.h"

namespace intaglio::token::detail {

class Health;

/// What service keys do. Each operation may be repeated, so a lost session or login is repaired behind it.
class ServiceOperations {
 public:
  ServiceOperations(Connection& connection, Keys& keys, Health& health) : connection_(connection), keys_(keys), health_(health) {}

  [[nodiscard]] Result<crypto::PublicKey> public_key(unsigned long key);
  [[nodiscard]] Result<Bytes> sign(unsigned long key, crypto::SignatureSuite suite, ByteView digest);
  [[nodiscard]] Result<Secret> hmac(unsigned long key, ByteView data);
  [[nodiscard]] Result<Bytes> encrypt(unsigned long key, ByteView plaintext, ByteView associated);
  [[nodiscard]] Result<Secret> decrypt(unsigned long key, ByteView sealed, ByteView associated);
  [[nodiscard]] Result<Secret> derive(unsigned long key, ByteView peer_point);
  [[nodiscard]] Result<Bytes> random(std::size_t length);

 private:
  /// `operation(session, handle) -> CallResult`, repeated after a repair. A result of class general or argument may be
  /// the input's fault when `may_be_input`: then it counts only when the token fails its known-answer check as well.
  template <typename Operation>
  Status run(std::optional<unsigned long> key, bool may_be_input, Operation operation);
  [[nodiscard]] Result<KeyEntry> entry_for(unsigned long key, KeyPurpose purpose);
  [[nodiscard]] Error failed(CallResult call, bool may_be_input);

  Connection& connection_;
  Keys& keys_;
  Health& health_;
};

}  // namespace intaglio::token::detail
