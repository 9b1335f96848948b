#pragma once

#include "sam/core.h"

/// A client's request under a seal grant. In CSC it is the SAD of signHash, which the SSA relays.
namespace intaglio::sam {

/// What a client's JWS says; nothing of it is verified.
struct SealClaims {
  std::string grant;    ///< id
  std::string request;  ///< the client's own id, 16 to 64 of A-Z a-z 0-9 - _
  crypto::SignatureSuite suite;
  std::vector<Bytes> digests;  ///< in order, each as long as the suite's hash
};
/// {"grant", "rid", "suite", "dig"}: "dig" is base64url of the digests one behind the other. `sad_invalid` when it is anything else.
[[nodiscard]] Result<SealClaims> parse_seal_claims(std::string_view payload);

/// Whether this stands in the place of a SAD: a JWS of typ intaglio-seal+jwt.
[[nodiscard]] bool is_seal_request(std::string_view sad);

/// Verifies the JWS under the grant's key, compares it with what the SSA asks for, counts its hashes, consumes its id and writes it as an authorisation, so
/// that what follows is as with a SAD: signed at most once, recorded, given again when an answer was lost (TC-4, TC-5). Does nothing for a JWS that
/// was accepted before. sad_invalid, sad_expired, hash_not_authorised, algorithm_refused, limit_exceeded, replayed.
Status accept_seal(Core& core, const protocol::SignRequest& request);

}  // namespace intaglio::sam
