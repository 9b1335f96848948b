#pragma once

#include "sam/records.h"

namespace intaglio::sam {

/// A seal grant as its signer approved it, and what is left of it.
struct GrantRecord {
  std::string id;                      ///< base64url SAM nonce of its ticket
  protocol::Transaction transaction;   ///< purpose grant
  crypto::Sha256Digest consent;
  protocol::Terms terms;
  std::string act;
  crypto::Sha256Digest factors;  ///< of the signer's factors then: with other factors the grant is over (grants.h)
  UnixTime made;
  std::uint64_t used;  ///< hashes that were asked for, whether or not the token sealed them
  bool ended;
};
[[nodiscard]] Bytes encode(const GrantRecord& grant);
[[nodiscard]] Result<GrantRecord> parse_grant(ByteView encoded);

}  // namespace intaglio::sam
