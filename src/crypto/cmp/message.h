#pragma once

#include <openssl/cmp.h>

#include <memory>
#include <string>

#include "base/bytes.h"
#include "crypto/detail/openssl.h"

/// A CMP message as it came, and what OpenSSL's client does not tell of one. Private to the room.
namespace intaglio::crypto::detail {

using CmpMessage = std::unique_ptr<OSSL_CMP_MSG, Freed<OSSL_CMP_MSG_free>>;

/// Body types (RFC 4210, 5.1.2) that OpenSSL's public headers do not name.
inline constexpr int cmp_body_pki_conf = 19;
inline constexpr int cmp_body_error = 23;
inline constexpr int cmp_body_cert_conf = 24;

/// Bounded in size and in certificates along with it, nothing behind it, and protected the one way that both agreed on: by a secret, or
/// by a signature. Whether the protection holds is not decided here.
[[nodiscard]] Result<CmpMessage> parse_cmp_answer(ByteView answer, bool by_secret);

/// The members of a PKIHeader (RFC 4210, 5.1.1) that matter here; what is absent is empty.
struct CmpHeader {
  std::string protection;  ///< protectionAlg, dotted
  Bytes transaction_id, sender_nonce, recipient_nonce;
  bool implicit_confirm = false;  ///< generalInfo says that no confirmation is waited for (5.1.1.1)
};
[[nodiscard]] Result<CmpHeader> read_cmp_header(const OSSL_CMP_MSG* message);

/// PKIFailureInfo of a message's error body (RFC 4210, 5.3.21), bit n for the failure of number n; 0 where it says none or is no error.
[[nodiscard]] std::uint32_t read_cmp_failure(const OSSL_CMP_MSG* message);

}  // namespace intaglio::crypto::detail
