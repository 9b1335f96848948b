#pragma once

#include <chrono>
#include <vector>

#include "crypto/revocation.h"
#include "pki/environment.h"

namespace intaglio::pki {

/// What a complete revocation list says (RFC 5280 section 5.1).
struct ListContent {
  std::uint64_t number;
  UnixTime this_update, next_update;
  std::vector<crypto::RevokedCertificate> revoked;
};

/// Signs, assembles, parses back and verifies the list with the issuer's certificate.
[[nodiscard]] Result<Bytes> sign_list(const ListContent& content, const Issuer& issuer);

}  // namespace intaglio::pki
