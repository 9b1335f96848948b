#pragma once

#include <memory>
#include <string>

#include "oauth/token_keys.h"
#include "token/token.h"

namespace intaglio::apps::ssa {

/// The keys of access tokens, as they stand on the PKCS#11 token and in the database. `first`: CKA_ID of the first of all, made when there
/// is none; the others are named after it. A key of which nothing is in force any more is destroyed. Refused (`configuration`): a key
/// that is not on the token, or is another than it was, or keys that are named after another first.
[[nodiscard]] Result<oauth::TokenKeys> open_token_keys(const std::shared_ptr<token::Token>& token, const std::string& first,
                                                       const oauth::TokenKeyRegister& kept);
/// Makes the key that signs after them, and announces it. Refused (`conflict`) while another one is announced and does not sign yet.
[[nodiscard]] Result<oauth::KeptTokenKey> announce_next_token_key(const std::shared_ptr<token::Token>& token, const std::string& first,
                                                                  const oauth::TokenKeyRegister& kept, UnixTime signs_from);
/// The service key of this CKA_ID, made when there is none. Of several nodes with one database and one token, one makes it.
[[nodiscard]] Result<token::ServiceKey> find_or_make(token::Token& token, token::KeyPurpose purpose, std::string_view id,
                                                     storage::Database& database);

}  // namespace intaglio::apps::ssa
