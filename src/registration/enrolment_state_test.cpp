#include "registration/enrolment_state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace intaglio::registration {
namespace {

/// Written out a second time, by name, so that the table of the product is compared with what was decided and not with itself.
const std::map<std::string, std::set<std::string>> decided{
    {"none",
     {"code_sent", "device_registered", "key_made", "key_certified", "suspended", "revocation_requested", "revoked", "expired", "ended"}},
    {"code_sent", {"code_sent", "device_registered", "revocation_requested"}},
    {"device_registered", {"code_sent", "revocation_requested"}},
    {"key_made", {"key_certified", "suspended", "revocation_requested", "revoked", "ended"}},
    {"key_certified", {"suspended", "revocation_requested", "revoked", "expired", "ended"}},
    {"suspended", {"key_certified", "revocation_requested", "revoked", "expired", "ended"}},
    {"revocation_requested", {"code_sent", "revoked", "expired"}},
    {"revoked", {}},
    {"expired", {"revoked", "ended"}},
    {"ended", {"revoked", "expired"}},
};

TEST(EnrolmentState, FollowsWhatWasDecidedForEachPair) {
  for (int from = 0; from < enrolment_states; ++from) {
    for (int to = 0; to < enrolment_states; ++to) {
      const auto before = static_cast<EnrolmentState>(from);
      const auto after = static_cast<EnrolmentState>(to);
      EXPECT_EQ(may_follow(before, after), decided.at(std::string(name_of(before))).contains(std::string(name_of(after))))
          << name_of(before) << " to " << name_of(after);
    }
  }
}

TEST(EnrolmentState, HasANameThatIsReadBackAndANextStep) {
  std::set<std::string_view> names;
  for (int i = 0; i < enrolment_states; ++i) {
    const auto state = static_cast<EnrolmentState>(i);
    names.insert(name_of(state));
    EXPECT_EQ(parse_enrolment_state(name_of(state)), state);
    EXPECT_FALSE(next_step_of(state).empty());
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(enrolment_states));
  EXPECT_EQ(parse_enrolment_state("unheard-of"), std::nullopt);
}

}  // namespace
}  // namespace intaglio::registration
