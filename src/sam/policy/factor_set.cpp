#include "sam/policy/factor_set.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace intaglio::sam {
namespace {

constexpr std::array<std::pair<Factor, std::string_view>, 6> all{{{Factor::pin, "pin"},
                                                                  {Factor::signerpass, "signerpass"},
                                                                  {Factor::totp, "totp"},
                                                                  {Factor::passkey, "passkey"},
                                                                  {Factor::device, "device"},
                                                                  {Factor::id_token, "id-token"}}};

Error wrong(const std::string& why) { return {ErrorCode::configuration, "factors: " + why}; }

}  // namespace

Result<FactorSet> FactorSet::parse_combination(const std::vector<std::string>& names) {
  FactorSet set;
  for (const auto& name : names) {
    const auto* const known = std::find_if(all.begin(), all.end(), [&](const auto& row) { return row.second == name; });
    if (known == all.end()) return wrong("\"" + name + "\" is not known");
    if (set.has(known->first)) return wrong("\"" + name + "\" stands twice in a combination");
    set.add(known->first);
  }
  const bool two_categories = names.size() == 2 && set.has(Factor::pin) != set.has(Factor::signerpass);
  const bool passkey_alone = names.size() == 1 && set.has(Factor::passkey);
  if (refused_by("sam.policy.categories", !two_categories && !passkey_alone))
    return wrong("a combination is PIN or signerpass with a factor of another category, or the passkey alone");
  return set;
}

std::vector<std::string> FactorSet::names() const {
  std::vector<std::string> out;
  for (const auto& [factor, name] : all) {
    if (has(factor)) out.emplace_back(name);
  }
  return out;
}

std::string FactorSet::text() const {
  std::string out;
  for (const auto& name : names()) out += out.empty() ? name : " " + name;
  return out;
}

bool covers_any(FactorSet factors, const std::vector<FactorSet>& combinations) noexcept {
  return std::any_of(combinations.begin(), combinations.end(), [&](FactorSet combination) { return factors.covers(combination); });
}

}  // namespace intaglio::sam
