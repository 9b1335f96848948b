#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sam/policy/policy.h"
#include "settings.h"
#include "token/token.h"

/// The SAM's tokens: opened, tried before anything is served, and what they say of themselves.
namespace intaglio::apps::sam {

struct Tokens {
  std::shared_ptr<token::Token> own;      ///< the SAM's own keys, and wrapped custody
  std::shared_ptr<token::Token> signers;  ///< signers' resident keys: the same one where the configuration has no [key_token]
  [[nodiscard]] bool apart() const noexcept { return own != signers; }
};

/// Opens the other token where the configuration has one.
[[nodiscard]] Result<Tokens> with_key_token(const std::shared_ptr<token::Token>& own, const std::optional<token::TokenConfig>& key_token);
/// The negative self-tests of each token, at each start: `unsupported` names the first that was not passed and whose keys the token
/// cannot hold.
Status check_tokens(const Tokens& tokens);
/// A policy must not promise keys that their token cannot make or sign with: `configuration` names profile, algorithm and reason.
Status check_algorithms(const Tokens& tokens, const intaglio::sam::Policy& policy);

/// JSON: description, objects, calls; those of the other token below `key_token`.
[[nodiscard]] std::string token_facts(const Tokens& tokens);
/// Signatures with signers' keys since the start, of both tokens together: compared with the audited ones.
[[nodiscard]] std::uint64_t signer_signatures(const Tokens& tokens);

/// Prints what each token can do and what it refuses; `unsupported` when one does what it must refuse.
Status print_probe(Settings settings, bool quick);

}  // namespace intaglio::apps::sam
