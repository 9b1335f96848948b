#include "one_time_custody.h"

#include <algorithm>

namespace intaglio::apps::sam {

bool needs_one_time_custody(const intaglio::sam::Policy& policy) {
  const auto& profiles = policy.profiles();
  return std::any_of(profiles.begin(), profiles.end(), [](const auto& profile) { return profile.one_time.has_value(); });
}

Status check_one_time_custody(const std::shared_ptr<token::Token>& token, const intaglio::sam::Policy& policy) {
  const auto name = KeyId::parse("self-test-one-time");
  if (!name) panic("the name of the self-test is no name");
  custody::OneTimeVault vault(token, 1);
  for (const auto& profile : policy.profiles()) {
    if (!profile.one_time) continue;
    auto made = vault.generate(*name, profile.key_algorithms.front());
    auto served = made ? vault.destroy(*name) : Status(made.error());
    if (!served) {
      return Error{ErrorCode::configuration,
                   "the policy's profile " + profile.name + " asks for one-time custody: " + served.error().detail};
    }
  }
  return {};
}

}  // namespace intaglio::apps::sam
