#pragma once

#include "token/detail/key_profile.h"
#include "token/detail/session_object.h"

namespace intaglio::token::detail {

/// What the session objects of wrapped custody are. Each does one thing, and is extractable only for the wrapping that takes it out.
[[nodiscard]] KeyProfile new_keypass();                                        ///< wraps a key, and is wrapped
[[nodiscard]] KeyProfile opened_keypass();                                     ///< unwraps a key
[[nodiscard]] KeyProfile new_signer_key(crypto::KeyAlgorithm algorithm);       ///< does nothing, and is wrapped
[[nodiscard]] KeyProfile moving_signer_key(crypto::KeyAlgorithm algorithm);    ///< was unwrapped, does nothing, and is wrapped again
[[nodiscard]] KeyProfile activated_signer_key(crypto::KeyAlgorithm algorithm); ///< was unwrapped, and signs

/// Where a call stood: what its refusal means.
enum class WrappingPlace { elsewhere, keypass, key };

/// How a call ended: well, with a result of the token, or with `refused`, an answer of the token that we do not accept.
struct WrappingStep {
  std::string_view function;
  CK_RV result = CKR_OK;
  WrappingPlace place = WrappingPlace::elsewhere;
  std::optional<Error> refused;
  [[nodiscard]] bool well() const noexcept { return result == CKR_OK && !refused; }
};

/// The calls of wrapped custody on one session. After one that failed the session is closed when the lease ends.
class WrappingSession {
 public:
  WrappingSession(Connection& connection, Lease& lease) : connection_(connection), lease_(lease) {}

  /// Made and read back.
  [[nodiscard]] WrappingStep make_keypass(SessionObject& keypass);
  [[nodiscard]] WrappingStep make_pair(crypto::KeyAlgorithm algorithm, SessionObject& own, SessionObject& other,
                                       std::optional<crypto::PublicKey>& key);
  [[nodiscard]] WrappingStep wrap(CK_OBJECT_HANDLE wrapping, const SessionObject& key, Bytes& wrapped);
  [[nodiscard]] WrappingStep unwrap_keypass(CK_OBJECT_HANDLE master, ByteView wrapped, SessionObject& keypass);
  /// The profile is that of a moving or an activated key.
  [[nodiscard]] WrappingStep unwrap_key(const SessionObject& keypass, ByteView wrapped, const KeyProfile& profile,
                                        const crypto::PublicKey& expected, SessionObject& key);

 private:
  [[nodiscard]] ObjectView view(const SessionObject& object);
  [[nodiscard]] WrappingStep ended(Function function, const SessionObject& object, CK_RV result, WrappingPlace place);
  [[nodiscard]] WrappingStep refuse(Error error, WrappingPlace place);
  [[nodiscard]] WrappingStep unwrap(CK_OBJECT_HANDLE unwrapping, ByteView wrapped, const KeyProfile& profile, SessionObject& object,
                                    WrappingPlace place);

  Connection& connection_;
  Lease& lease_;
  unsigned step_ = 0;
};

}  // namespace intaglio::token::detail
