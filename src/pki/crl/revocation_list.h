#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "crypto/revocation.h"
#include "pki/environment.h"

namespace intaglio::pki {

/// What a revocation list says (RFC 5280 section 5.1).
struct ListContent {
  std::uint64_t number;
  UnixTime this_update, next_update;
  std::vector<crypto::RevokedCertificate> revoked;
  std::optional<std::uint64_t> base = std::nullopt;   ///< of a delta list: the number of the complete list that it continues (5.2.4)
  std::string freshest{};                             ///< of a complete list: where its delta lists are (5.2.6); empty: nowhere
  std::optional<UnixTime> expired_since = std::nullopt;  ///< ExpiredCertsOnCRL (X.509, 9.5.2.8): what ended since then stays on it
};

/// Signs, assembles, parses back and verifies the list with the issuer's certificate.
[[nodiscard]] Result<Bytes> sign_list(const ListContent& content, const Issuer& issuer);

}  // namespace intaglio::pki
