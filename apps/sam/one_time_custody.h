#pragma once

#include "custody/one_time/vault.h"
#include "sam/policy/policy.h"

namespace intaglio::apps::sam {

/// One-time keys that are alive at a time on this node: each holds a session of the token, and a session lasts seconds.
inline constexpr std::size_t most_one_time_keys = 64;

[[nodiscard]] bool needs_one_time_custody(const intaglio::sam::Policy& policy);
/// Makes and destroys a key of each algorithm that a profile with one-time custody makes keys of. Refused (`configuration`) when the
/// token does not do that.
Status check_one_time_custody(const std::shared_ptr<token::Token>& token, const intaglio::sam::Policy& policy);

}  // namespace intaglio::apps::sam
