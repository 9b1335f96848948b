#pragma once

#include <p11-kit/pkcs11.h>

#include <filesystem>

#include "load.h"
#include "stages.h"
#include "token/token.h"

namespace intaglio::bench {

struct Kind {
  std::string name;
  crypto::KeyAlgorithm algorithm;
  crypto::SignatureSuite suite;
};
/// What is measured: RSA-3072 with PSS, and P-256.
[[nodiscard]] const std::array<Kind, 2>& measured_kinds();

/// A SoftHSM token of its own in the folder of the options, opened.
[[nodiscard]] std::shared_ptr<token::Token> make_token(const LocalOptions& options);

/// The module as it is, without the room: the token's login counts for every session of the process.
class RawModule {
 public:
  explicit RawModule(const std::filesystem::path& path);

  [[nodiscard]] CK_SESSION_HANDLE open_session() const;
  [[nodiscard]] CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS object_class, Bytes id) const;
  /// C_SignInit and C_Sign; the signature stands in `out`, which the view refers to.
  ByteView sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, bool rsa, ByteView digest, std::span<std::uint8_t> out) const;
  [[nodiscard]] const CK_FUNCTION_LIST& functions() const noexcept { return *functions_; }

 private:
  const CK_FUNCTION_LIST* functions_ = nullptr;
  CK_SLOT_ID slot_ = 0;
};

/// The verification of TC-5; `signature` as the module gives it. Ends the program when it is wrong.
void verify_raw(const crypto::PublicKey& key, const Kind& kind, ByteView digest, ByteView signature);

}  // namespace intaglio::bench
