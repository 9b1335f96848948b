#pragma once

#include <memory>

#include "custody/wrapped/vault.h"
#include "sam/policy/policy.h"

/// Wrapped custody over the SAM's token: its keys there, and whether the token serves it.
namespace intaglio::apps::sam {

struct WrappedCustody {
  token::ServiceKey lock_pepper;
  std::unique_ptr<custody::WrappedVault> vault;
};
[[nodiscard]] bool needs_wrapped_custody(const intaglio::sam::Policy& policy);
/// Finds the master keys and the pepper key of locks; `make` generates those that are missing (initialisation only).
[[nodiscard]] Result<WrappedCustody> open_wrapped_custody(const std::shared_ptr<token::Token>& token, bool make);
/// Self-test with the key algorithms of each profile in wrapped custody, elliptic curves before RSA, whose keys take seconds:
/// `configuration` names the profile that the token cannot serve.
Status check_wrapped_custody(custody::WrappedVault& vault, const intaglio::sam::Policy& policy);

/// What a guess of a PIN costs here whoever has database, token login and these programs, measured now, and what that means for
/// the search of all secrets (TC-6): milliseconds, hours, years, in words.
[[nodiscard]] Result<std::string> describe_search();

}  // namespace intaglio::apps::sam
