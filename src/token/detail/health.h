#pragma once

#include <mutex>
#include <optional>

#include "token/detail/own_session.h"

namespace intaglio::token::detail {

/// The known-answer check: the token signs a fresh digest with a probe key of this session, and the signature must verify
/// outside. Neither C_GetTokenInfo nor C_GetSessionInfo says as much: SoftHSM answers them with errors or from memory.
class Health {
 public:
  explicit Health(Connection& connection) : connection_(connection) {}
  /// `token_unavailable` when the token does not sign, or signs wrongly.
  Status check();

 private:
  struct ProbeKey {
    OwnSession session;
    CK_OBJECT_HANDLE handle;
    crypto::PublicKey key;
    crypto::SignatureSuite suite;
  };
  Status make_probe_key();
  /// Where throw-away keys are token objects none stays between two checks.
  void drop_stored_key();
  Status make_probe_key_of(crypto::KeyAlgorithm algorithm);
  Status sign_and_verify();

  Connection& connection_;
  std::mutex mutex_;
  std::optional<ProbeKey> probe_;
};

}  // namespace intaglio::token::detail
