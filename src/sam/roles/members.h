#pragma once

#include <initializer_list>

#include "crypto/public_key.h"
#include "json/json.h"

/// Readers of what a privileged user writes: what he writes beyond what is asked would reach proposals, officers and the audit log.
namespace intaglio::sam {

/// The text, or what of its first `max_bytes` octets are whole characters, and "…".
[[nodiscard]] std::string bounded(std::string_view text, std::size_t max_bytes);
/// `invalid_request` names a member that is not one of these. `what`: "a user", for the refusal.
[[nodiscard]] Status check_members(const json::Value& object, std::string_view what, std::initializer_list<std::string_view> known);
/// The member "jwk": a public P-256 key of kty, crv, x and y alone, so that nothing else stands beside it.
[[nodiscard]] Result<crypto::PublicKey> parse_user_key(const json::Value& object);

}  // namespace intaglio::sam
